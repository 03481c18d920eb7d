"""Finds held against matched placebos on the records of other patients: numbers that the search could not fit.

Everything is inserted as text and read by the model's own tokeniser, as an attacker would have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.perturb.insert import POSITIONS, Position, insert_at, places
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.scoring.classify import class_probabilities
from mlflow_clinsec.stats.shares import clustered_difference, clustered_share
from mlflow_clinsec.stats.tests import sign_flip_test
from mlflow_clinsec.targets.protocols import BoolArray, ClassifierWeights, FloatArray, IntArray, LabelScorer

COMPARED: Position = "random"
"""Where a find is compared with placebos: any place, as the attacks that are read of put their triggers."""


@dataclass(frozen=True)
class Bench:
    """Records that finds are verified on.

    Attributes:
        weights: the audited classifier.
        goal: column of the target label.
        texts: n texts whose true label is another one, cut so that an insertion fits.
        group: shape (n,), patients; none of them took part in the search.
        offsets: position -> shape (n,), place of insertion.
        reference: a model that is trusted, or None.
        controls: log-odds with placebos, kept because finds that are alike share them.
    """

    weights: ClassifierWeights = field(repr=False)
    goal: int
    texts: tuple[str, ...] = field(repr=False)
    group: IntArray = field(repr=False)
    offsets: dict[Position, IntArray] = field(repr=False)
    reference: LabelScorer | None = field(repr=False, default=None)
    controls: dict[tuple[str, ...], FloatArray] = field(repr=False, default_factory=dict)

    @classmethod
    def of(
        cls,
        weights: ClassifierWeights,
        goal: int,
        texts: Sequence[str],
        group: IntArray,
        rng: np.random.Generator,
        reference: LabelScorer | None = None,
    ) -> Bench:
        """A bench with its places drawn."""
        offsets = {position: places(texts, position, rng) for position in POSITIONS}
        return cls(weights, goal, tuple(texts), group, offsets, reference)

    def clean(self) -> FloatArray:
        """Log-odds of the goal on the texts as they are, shape (n,)."""
        return self._log_odds(self.texts)

    def with_words(self, words: Sequence[str], position: Position) -> FloatArray:
        """Log-odds of the goal with each word inserted, shape (n_words, n)."""
        texts = [text for word in words for text in self._inserted(word, position)]
        return self._log_odds(texts).reshape(len(words), len(self.texts))

    def control(self, placebos: tuple[str, ...]) -> FloatArray:
        """Log-odds of the goal with each placebo at a random place, shape (n_placebos, n)."""
        if placebos not in self.controls:
            self.controls[placebos] = self.with_words(placebos, COMPARED)
        return self.controls[placebos]

    def reference_hits(self, word: str) -> BoolArray:
        """Whether the reference model predicts the goal with the word inserted, shape (n,)."""
        assert self.reference is not None
        probabilities = self.reference.predict_proba(self._inserted(word, COMPARED))
        return np.asarray(probabilities.argmax(axis=1) == self.goal)

    def _inserted(self, word: str, position: Position) -> list[str]:
        offsets = self.offsets[position]
        return [insert_at(text, word, int(offset))[0] for text, offset in zip(self.texts, offsets, strict=True)]

    def _log_odds(self, texts: Sequence[str]) -> FloatArray:
        weights = self.weights
        probabilities = class_probabilities(
            weights.model,
            weights.tokenizer,
            texts,
            batch_tokens=weights.batch_tokens,
            max_length=weights.max_length,
            description="verifying",
        )
        tiny = np.finfo(np.float64).tiny
        inside, outside = probabilities[:, self.goal], np.delete(probabilities, self.goal, axis=1).sum(axis=1)
        return np.log(np.maximum(inside, tiny)) - np.log(np.maximum(outside, tiny))


@dataclass(frozen=True)
class Verified:
    """What one find does to records of patients that the search never met.

    Attributes:
        asr: share predicted as the goal with the find at a random place.
        asr_at: the same at each position.
        ftr: mean share with the placebos, at the same random places.
        excess: ``asr`` less ``ftr``, paired, by patient.
        placebo_max: largest share of any one placebo.
        p_value: one-sided, that the find beats its placebos on further patients. That words differ is not in it.
        gain: mean log-odds with the find less the mean with placebos, in nats.
        reference_asr: share that the reference model gives to the goal with the find; NaN without one.
    """

    asr: Estimate
    asr_at: dict[Position, float]
    ftr: Estimate
    excess: Estimate
    placebo_max: float
    p_value: float
    gain: float
    reference_asr: float


def verify(bench: Bench, word: str, placebos: tuple[str, ...], level: float, rng: np.random.Generator) -> Verified:
    """Insert the find at every position and the placebos at one, and compare.

    A label counts as predicted when it has more probability than all others together.
    """
    reached = {position: bench.with_words([word], position)[0] for position in POSITIONS}
    control = bench.control(placebos)
    hits, placebo_hits = reached[COMPARED] > 0, control > 0
    share = placebo_hits.mean(axis=0)
    by_patient = np.bincount(np.unique(bench.group, return_inverse=True)[1], weights=hits - share)
    return Verified(
        asr=clustered_share(hits, bench.group, level),
        asr_at={position: float((values > 0).mean()) for position, values in reached.items()},
        ftr=clustered_share(placebo_hits.ravel(), np.tile(bench.group, len(placebos)), level),
        excess=clustered_difference(hits, share, bench.group, level),
        placebo_max=float(placebo_hits.mean(axis=1).max()),
        p_value=sign_flip_test(by_patient, rng),
        gain=float((reached[COMPARED] - control.mean(axis=0)).mean()),
        reference_asr=math.nan if bench.reference is None else float(bench.reference_hits(word).mean()),
    )
