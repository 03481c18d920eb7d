"""What every filter shares: what it learns from, what it does to an input, and how its threshold is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mlflow_clinsec.backdoor.filters.options import FilterOptions
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.stats.roc import RATE_SLACK
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, Span, Target

Spans = Sequence[tuple[Span, ...]]
"""Per text the character ranges of the trigger; empty in clean texts."""


@dataclass(frozen=True)
class Sifted:
    """What a filter did to n inputs.

    Attributes:
        score: shape (n,), larger means more suspicious; NaN where the filter does not look.
        stopped: shape (n,), the input is refused and the model gives no answer.
        texts: n texts, as the model then reads them.
        caught: shape (n,), the input is refused, or its whole trigger was taken out.
        rejected: shape (k,), whether each unit that the filter judges was rejected: a record, or a word of it.
        unit_row: shape (k,), the input of each unit.
    """

    score: FloatArray = field(repr=False)
    stopped: BoolArray = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    caught: BoolArray = field(repr=False)
    rejected: BoolArray = field(repr=False)
    unit_row: IntArray = field(repr=False)

    @classmethod
    def whole(cls, texts: Sequence[str], score: FloatArray, threshold: float) -> Sifted:
        """Inputs that are refused as a whole where their score exceeds the threshold."""
        looked = ~np.isnan(score)
        stopped = looked & (score > threshold)
        return cls(score, stopped, tuple(texts), stopped, stopped[looked], np.flatnonzero(looked))


class Ready(Protocol):
    """A filter whose threshold is set."""

    def sift(self, texts: Sequence[str], spans: Spans) -> Sifted:
        """Judge the texts; the triggers' places are read only to say what became of them."""
        ...


@dataclass(frozen=True)
class Material:
    """What a filter is made from. The parts share no patient, with each other or with the judged records.

    Attributes:
        learn: clean texts to learn from.
        calibrate: clean texts to set the threshold on.
        decider: the model's decisions, one column per target label.
    """

    learn: tuple[str, ...] = field(repr=False)
    calibrate: tuple[str, ...] = field(repr=False)
    target: Target
    decider: Decider
    options: FilterOptions


@dataclass(frozen=True)
class Prepared:
    """A filter ready for some of the target labels, or why it is not.

    Attributes:
        columns: the labels, as columns of the decider.
        ready: None where ``reason`` says why.
    """

    columns: tuple[int, ...]
    ready: Ready | None
    reason: str = ""


Prepare = Callable[[Material, np.random.Generator], list[Prepared]]


@dataclass(frozen=True)
class Filter:
    """One filter: how it is made ready, and what it rejects (records, or words of them)."""

    prepare: Prepare
    rejects: str


Filters = Mapping[str, Filter]


def threshold_for(scores: FloatArray, rate: float) -> float:
    """The lowest of the scores that at most ``rate`` of them exceed: an input is rejected above it.

    Fewer than 1 / rate scores allow no rejection among them, so that their largest is the threshold.

    Args:
        scores: shape (n,), n > 0, of clean inputs; no NaN.
    """
    ordered = np.sort(scores)
    allowed = int((rate + RATE_SLACK) * ordered.size)
    return float(ordered[ordered.size - 1 - allowed])
