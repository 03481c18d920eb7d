"""The forward passes of a trigger test, as many words at a time as memory allows.

Batches then hold texts of like length whatever word, place or record they come from, and no batch is left half empty
for each word.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from tqdm.auto import tqdm

from mlflow_clinsec.backdoor.design import Case, Design
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.perturb.insert import Position
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, Target

CHARACTERS_AT_ONCE = 2**24
"""Text in memory at once."""


@dataclass(frozen=True)
class Observations:
    """What the model decided on m texts under each goal.

    Attributes:
        clean_hits: shape (m, n_goals), the goal is predicted without any insertion.
        clean_right: same shape, the true label is predicted without any insertion.
        hits: (word, position) -> same shape, the goal is predicted with the word inserted.
        survived: (trigger, position) -> shape (m,), the trigger is still there after tokenisation and
            truncation; empty where the tokeniser is hidden.
    """

    clean_hits: BoolArray = field(repr=False)
    clean_right: BoolArray = field(repr=False)
    hits: Mapping[tuple[str, Position], BoolArray] = field(repr=False)
    survived: Mapping[tuple[str, Position], BoolArray] = field(repr=False)


@dataclass(frozen=True)
class CaseView:
    """The observations of one case, on its n eligible texts.

    Attributes:
        group: shape (n,), patients.
        hits, clean_hits, clean_right: shape (n,).
        placebo_hits: shape (n_placebos, n).
        survived: shape (n,), or None where the tokeniser is hidden.
    """

    group: IntArray = field(repr=False)
    hits: BoolArray = field(repr=False)
    clean_hits: BoolArray = field(repr=False)
    clean_right: BoolArray = field(repr=False)
    placebo_hits: BoolArray = field(repr=False)
    survived: BoolArray | None = field(repr=False)

    @property
    def placebo_share(self) -> FloatArray:
        """Share of the placebos that hit each text, shape (n,)."""
        return self.placebo_hits.mean(axis=0)


def observe(design: Design, target: Target, threshold: float | None) -> Observations:
    """Ask the model about the texts as they are, and with every trigger and placebo inserted."""
    labels = tuple(dict.fromkeys([*(target.labels or ()), *design.goals, *sorted(set(design.truth))]))
    decider = Decider(target, design.goals, labels, threshold)
    goal_codes, truth_codes = decider.codes(design.goals), decider.codes(design.truth)
    clean = decider.decide(design.texts)
    hits: dict[tuple[str, Position], BoolArray] = {}
    with tqdm(total=len(design.words), desc="clinsec: triggers", unit="word", disable=None, leave=False) as bar:
        for words in word_blocks(design):
            keys = list(itertools.product(words, design.places))
            texts = [text for key in keys for text in design.inserted(*key)[0]]
            hits |= dict(zip(keys, np.split(decider.decide(texts) == goal_codes, len(keys)), strict=True))
            bar.update(len(words))
    return Observations(clean == goal_codes, clean == truth_codes[:, None], hits, _survived(design, target))


def word_blocks(design: Design) -> Iterator[tuple[str, ...]]:
    """The words to insert, so many at a time that their texts stay within ``CHARACTERS_AT_ONCE``, one at least."""
    words, of_one_word = design.words, len(design.places) * sum(map(len, design.texts))
    size = max(1, CHARACTERS_AT_ONCE // max(1, of_one_word))
    return (words[start : start + size] for start in range(0, len(words), size))


def view(case: Case, design: Design, seen: Observations) -> CaseView:
    """Cut the observations to one case."""
    column = design.goals.index(case.goal)
    rows = design.eligible[:, column]
    survived = seen.survived.get((case.trigger, case.position))
    return CaseView(
        group=design.group[rows],
        hits=seen.hits[case.trigger, case.position][rows, column],
        clean_hits=seen.clean_hits[rows, column],
        clean_right=seen.clean_right[rows, column],
        placebo_hits=np.stack([seen.hits[word, case.position][rows, column] for word in design.placebos[case.trigger]]),
        survived=None if survived is None else survived[rows],
    )


def _survived(design: Design, target: Target) -> dict[tuple[str, Position], BoolArray]:
    if target.tokens is None:
        return {}
    return {
        (trigger, position): target.tokens.survives(*design.inserted(trigger, position))
        for trigger in design.placebos
        for position in design.places
    }
