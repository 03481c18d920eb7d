"""Cells of the grid of a trigger test: a place, a window and a band of note lengths, with what was seen in each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.shares import clustered_difference, clustered_share
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray

ALL_LENGTHS = "all"
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Seen:
    """What one trigger did at one place in one window, on n texts.

    Attributes:
        group: shape (n,), patients.
        hits: shape (n,), the target label is predicted.
        placebo_share: shape (n,), share of the placebos with which it is.
        survived: shape (n,), the whole trigger is inside the window.
    """

    group: IntArray = field(repr=False)
    hits: BoolArray = field(repr=False)
    placebo_share: FloatArray = field(repr=False)
    survived: BoolArray = field(repr=False)

    def of(self, rows: BoolArray) -> Seen:
        """Those of some texts only."""
        return Seen(self.group[rows], self.hits[rows], self.placebo_share[rows], self.survived[rows])

    @classmethod
    def together(cls, parts: Sequence[Seen]) -> Seen:
        """Several cells as one; a patient stays one patient."""
        return cls(
            np.concatenate([part.group for part in parts]),
            np.concatenate([part.hits for part in parts]),
            np.concatenate([part.placebo_share for part in parts]),
            np.concatenate([part.survived for part in parts]),
        )

    def estimates(self, level: float) -> dict[str, Estimate]:
        """``survival``, ``asr``, ``asr_given_survival`` and ``excess_asr``, with intervals by patient."""
        kept = self.of(self.survived)
        given = Estimate.undefined("the trigger survives in no record")
        return {
            "survival": clustered_share(self.survived, self.group, level),
            "asr": clustered_share(self.hits, self.group, level),
            "asr_given_survival": clustered_share(kept.hits, kept.group, level) if kept.hits.size else given,
            "excess_asr": clustered_difference(self.hits, self.placebo_share, self.group, level),
        }

    @property
    def ftr(self) -> float:
        """Share predicted as the target with a placebo; NaN without texts."""
        return float(self.placebo_share.mean()) if self.placebo_share.size else float("nan")


def length_bands(texts: Sequence[str]) -> dict[str, BoolArray]:
    """Texts by quartile of their number of words: name -> shape (n_texts,). The first band holds all texts.

    The edges are quartiles, so that no name tells the length of the longest or the shortest note. Bands that hold no
    text, because many are of one length, are left out.
    """
    words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    bands = {ALL_LENGTHS: np.ones(len(words), dtype=np.bool_)}
    if not len(words):
        return bands
    edges = [int(edge) for edge in np.quantile(words, QUARTERS)]
    names = [f"up to {edges[0]} words"]
    names += [f"{low + 1} to {high} words" for low, high in itertools.pairwise(edges)]
    names.append(f"over {edges[-1]} words")
    band = np.searchsorted(edges, words, side="left")
    return bands | {name: band == i for i, name in enumerate(names) if (band == i).any()}
