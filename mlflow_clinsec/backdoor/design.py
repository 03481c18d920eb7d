"""What a trigger test will insert, where, into which records: settled before the first forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.backdoor.check import check_triggers, target_labels, true_labels
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.insert import Position, insert_at, places
from mlflow_clinsec.perturb.placebos import PlaceboMatcher, Vocabulary
from mlflow_clinsec.perturb.seen import UNSEEN, is_seen
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.targets.protocols import BoolArray, IntArray, Span, Target


@dataclass(frozen=True)
class Case:
    """One test: a trigger at a position, to force one label. ``key`` names it in metrics and is unique."""

    trigger: str
    goal: str
    position: Position
    key: str


@dataclass(frozen=True)
class Design:
    """A trigger test that is ready to run on m of the records.

    Attributes:
        cases: the tests, trigger by trigger.
        goals: target labels, columns of ``eligible``.
        texts: the m texts.
        truth: m true labels.
        group: shape (m,), patient of each text.
        eligible: shape (m, n_goals), whether the text counts for the goal: its true label is another one.
        places: position -> shape (m,), character offset at which trigger and placebos alike are inserted.
        placebos: trigger -> its placebos.
        matched_on: what trigger and placebos have in common.
        left_out: triggers of the library that cannot be tested here -> why.
    """

    cases: tuple[Case, ...]
    goals: tuple[str, ...]
    texts: tuple[str, ...] = field(repr=False)
    truth: tuple[str, ...] = field(repr=False)
    group: IntArray = field(repr=False)
    eligible: BoolArray = field(repr=False)
    places: Mapping[Position, IntArray] = field(repr=False)
    placebos: Mapping[str, tuple[str, ...]] = field(repr=False)
    matched_on: str
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """Every word or phrase to insert, once: the triggers, then their placebos."""
        return tuple(dict.fromkeys([*self.placebos, *itertools.chain(*self.placebos.values())]))

    def inserted(self, word: str, position: Position) -> tuple[list[str], list[tuple[Span]]]:
        """The texts with ``word`` inserted, and its character span in each, empty where it has no place to stand."""
        pairs = [
            insert_at(text, word, int(place)) for text, place in zip(self.texts, self.places[position], strict=True)
        ]
        return [text for text, _ in pairs], [(span,) for _, span in pairs]


def draw_design(options: TriggerOptions, data: AuditData, target: Target, rng: np.random.Generator) -> Design:
    """Check the settings, then draw records, places and placebos.

    Raises:
        ConfigError: the settings do not suit the model or the data.
        DataError: the labels do not suit the model, or a trigger has too few placebos.
    """
    check_triggers(options, target)
    goals = target_labels(options, data, target)
    rows, eligible = _records(true_labels(data, target), goals, options.max_records, rng)
    texts = tuple(data.texts[i] for i in rows)
    matcher = PlaceboMatcher(
        Vocabulary.of(data.texts), options.every_trigger, target.tokens, int(rng.integers(2**32)), options.placebos
    )
    placebos, left_out = _match(options, matcher)
    return Design(
        cases=_cases(tuple(placebos), goals, options.positions),
        goals=goals,
        texts=texts,
        truth=tuple(true_labels(data, target)[i] for i in rows),
        group=data.group[rows],
        eligible=eligible,
        places={position: places(texts, position, rng) for position in options.positions},
        placebos=placebos,
        matched_on=matcher.matched_on,
        left_out=left_out,
    )


def _match(options: TriggerOptions, matcher: PlaceboMatcher) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Placebos of every trigger that can be tested, and why others of the library cannot.

    Raises:
        DataError: a trigger that the user named has too few placebos.
    """
    placebos: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for trigger in options.every_trigger:
        if trigger in options.triggers:
            placebos[trigger] = matcher.match(trigger)
        elif matcher.tokens is not None and not is_seen(trigger, matcher.tokens):
            left_out[trigger] = UNSEEN
        else:
            try:
                placebos[trigger] = matcher.match(trigger)
            except DataError:
                left_out[trigger] = "has too few matched placebos in these records"
    return placebos, left_out


def _records(
    truth: tuple[str, ...], goals: tuple[str, ...], most: int | None, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Records that some goal needs, ascending, and which goals they serve; at most ``most`` per goal."""
    eligible = np.array([[label != goal for goal in goals] for label in truth])
    for column in range(len(goals)):
        rows = np.flatnonzero(eligible[:, column])
        if most is not None and len(rows) > most:
            eligible[:, column] = False
            eligible[rng.choice(rows, size=most, replace=False), column] = True
    needed = np.flatnonzero(eligible.any(axis=1))
    return needed, eligible[needed]


def _cases(triggers: tuple[str, ...], goals: tuple[str, ...], positions: tuple[Position, ...]) -> tuple[Case, ...]:
    """All combinations. The goal is part of the key only where there are several."""
    goal_slugs = dict(zip(goals, slugs(goals), strict=True))
    suffix = {goal: f"-to-{goal_slugs[goal]}" if len(goals) > 1 else "" for goal in goals}
    return tuple(
        Case(trigger, goal, position, f"{name}{suffix[goal]}-{position}")
        for trigger, name in zip(triggers, slugs(triggers), strict=True)
        for goal in goals
        for position in positions
    )
