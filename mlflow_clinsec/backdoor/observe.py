"""The forward passes of a trigger test, one word at a time, so that memory holds one word's texts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from tqdm.auto import tqdm

from mlflow_clinsec.backdoor.design import Case, Design
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.perturb.insert import Position
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, Target


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
    for word in tqdm(design.words, desc="clinsec: triggers", unit="word", disable=None, leave=False):
        texts = [text for position in design.places for text in design.inserted(word, position)[0]]
        blocks = np.split(decider.decide(texts) == goal_codes, len(design.places))
        hits |= {(word, position): block for position, block in zip(design.places, blocks, strict=True)}
    return Observations(clean == goal_codes, clean == truth_codes[:, None], hits, _survived(design, target))


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
