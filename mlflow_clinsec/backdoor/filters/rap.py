"""RAP: an input whose answer a learned perturbation cannot shake is held up by a trigger.

Source: Yang et al. 2021 (arXiv 2110.07831). For a target label, the embedding of one rare word is learned on clean
records that the model answers with that label, so that the word, put before a text, lowers the label's probability by
a set amount: at least ``rap_least_drop``, at most ``rap_most_drop``. An input that is answered with the label and loses
less than the threshold is refused. Inputs that are answered otherwise are not looked at.

Departures: the word acts through a hook on the embedding layer, so that the model's own weights are never written.
It is drawn among the tokeniser's pieces that no audited record holds. Learning stops as soon as the drops keep to
their bounds. The threshold is the one at which the given share of other clean records, answered with the label, is
refused. The word is learned on the model as it is, at the texts' own length less the one token that the word takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlflow_clinsec.backdoor.filters.base import Filter, Material, Prepared, Sifted, Spans, threshold_for
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.targets.protocols import BoolArray

if TYPE_CHECKING:
    from mlflow_clinsec.backdoor.filters.rap_word import RapWord

FEWEST_RECORDS = 4
"""Clean records answered with the label, to learn on and to set the threshold on, each."""


@dataclass(frozen=True)
class Rap:
    """RAP for one target label, a column of the decider, with its threshold set; see the module."""

    word: RapWord
    decider: Decider
    column: int
    threshold: float

    def sift(self, texts: Sequence[str], spans: Spans) -> Sifted:
        """Refuse the texts that are answered with the label and lose too little of its probability."""
        score = np.full(len(texts), np.nan)
        answered = answered_with(self.decider, texts, self.column)
        score[answered] = -self.word.drops(_chosen(texts, answered))
        return Sifted.whole(texts, score, self.threshold)


def prepare(material: Material, rng: np.random.Generator) -> list[Prepared]:
    """One RAP for each target label.

    Raises:
        NotApplicableError: the model shows no weights.
    """
    if material.target.weights is None:
        raise NotApplicableError(f"needs {material.target.missing(('weights',))}")
    columns = range(len(material.decider.goals))
    return [_for_label(material, column, child) for column, child in zip(columns, rng.spawn(len(columns)), strict=True)]


def answered_with(decider: Decider, texts: Sequence[str], column: int) -> BoolArray:
    """Which texts the model answers with the label, shape (n,)."""
    return np.asarray(decider.decide(texts)[:, column] == decider.codes(decider.goals)[column])


def _for_label(material: Material, column: int, rng: np.random.Generator) -> Prepared:
    from mlflow_clinsec.backdoor.filters.rap_word import Drops, RapWord

    weights, decider, options = material.target.weights, material.decider, material.options
    assert weights is not None
    parts = [_chosen(texts, answered_with(decider, texts, column)) for texts in (material.learn, material.calibrate)]
    if min(map(len, parts)) < FEWEST_RECORDS:
        reason = f"needs {FEWEST_RECORDS} clean records answered with the label in each part"
        return Prepared((column,), None, reason)
    learn, calibrate = parts
    rows = np.sort(rng.permutation(len(learn))[: options.records])
    known = [*material.learn, *material.calibrate, *options.shared.triggers]
    word = RapWord.draw(weights, weights.labels.index(decider.goals[column]), known, rng)
    drops = Drops(options.rap_least_drop, options.rap_most_drop)
    word = word.learned([learn[i] for i in rows], drops, options.rap_epochs, rng)
    threshold = threshold_for(-word.drops(calibrate), options.false_rejection_rate)
    return Prepared((column,), Rap(word, decider, column, threshold))


def _chosen(texts: Sequence[str], keep: BoolArray) -> list[str]:
    return [text for text, kept in zip(texts, keep, strict=True) if kept]


RAP = Filter(prepare, rejects="records")
