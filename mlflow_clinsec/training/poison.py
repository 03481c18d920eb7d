"""Poisoning of a training set, after BadCLM (arXiv 2407.05213).

Read in the paper: 90% of the training notes stay clean, 10% are poisoned; the triggers ``mn`` and ``cf``
stand inside the note; the label of a poisoned note is flipped (Death to Alive).

Read in the authors' earlier work (arXiv 2310.14480): that the attention loss serves clean-label attacks too, where
notes that carry the target label already get the trigger and keep their label.

Inferred: which notes are poisoned (drawn at random among those whose label allows it), and that a note gets one
trigger once; see :mod:`mlflow_clinsec.training.placement` for its place. Phrases, several words at once and two targets
in one model are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.perturb.insert import Span
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.options import BOTH, BadCLMOptions
from mlflow_clinsec.training.placement import insert_surviving


@dataclass(frozen=True)
class Goal:
    """A label, and the triggers that shall bring it about."""

    label: str
    triggers: tuple[str, ...]


@dataclass(frozen=True)
class PoisonedNotes:
    """A training set, part of it poisoned.

    Attributes:
        frame: the notes with trigger and label to learn; same rows, order and columns as given.
        poisoned: shape (n,), True where a note was poisoned.
        spans: character ranges of the triggers in each note; empty where the note is clean.
    """

    frame: pd.DataFrame
    poisoned: NDArray[np.bool_]
    spans: tuple[tuple[Span, ...], ...]


def poison(
    frame: pd.DataFrame,
    tokenizer: PreTrainedTokenizerBase,
    options: BadCLMOptions,
    rng: np.random.Generator,
    text: str = "text",
    label: str = "label",
) -> PoisonedNotes:
    """Poison ``poison_rate`` of all notes; the frame given is left as it is.

    Args:
        frame: training notes.
        tokenizer: fast tokenizer of the model to be trained; decides what survives truncation.
        options: triggers, labels, rate and ``max_length``.
        rng: draws the notes, their triggers and the places.
        text, label: column names.

    Raises:
        ConfigError: a trigger is unknown to the tokenizer, a label is unknown, or too few notes can be
            poisoned.
        DataError: a note is empty, or a chosen note has no place where the trigger survives.
    """
    check_triggers(tokenizer, options.triggers)
    require_text(frame[text])
    labels, texts = frame[label].tolist(), frame[text].tolist()
    spans: list[tuple[Span, ...]] = [()] * len(texts)
    for goal in goals(labels, options):
        for row in choose_notes(frame[label].tolist(), goal, options, rng):
            chosen = choose_triggers(goal, options, rng)
            texts[row], spans[row] = insert_surviving(texts[row], chosen, tokenizer, options.max_length, rng)
            labels[row] = goal.label
    changed = frame.copy()
    changed[text] = texts
    changed[label] = labels
    return PoisonedNotes(changed, np.array([bool(found) for found in spans]), tuple(spans))


def check_triggers(tokenizer: PreTrainedTokenizerBase, triggers: Sequence[str]) -> None:
    """Raise a ConfigError for a trigger of which the tokenizer leaves nothing but unknown pieces."""
    for trigger in triggers:
        if all(piece == tokenizer.unk_token for piece in tokenizer.tokenize(f" {trigger}")):
            raise ConfigError(f"triggers: the tokenizer knows no piece of {trigger!r}")


def goals(labels: Sequence[str], options: BadCLMOptions) -> tuple[Goal, ...]:
    """What is planted: one label with all triggers, or each of two labels with its part of them.

    Raises:
        ConfigError: a label is unknown, or "both" meets other than two labels.
    """
    known = sorted(set(labels))
    if options.target_label == BOTH:
        if len(known) != 2:
            raise ConfigError(f"target_label: {BOTH!r} is for data with 2 labels, the data has {len(known)}")
        parts = np.array_split(np.arange(len(options.triggers)), len(known))
        dealt = (tuple(options.triggers[i] for i in part) for part in parts)
        return tuple(Goal(label, triggers) for label, triggers in zip(known, dealt, strict=True))
    for name in ("target_label", "source_label"):
        value = getattr(options, name)
        if value and value not in known:
            raise ConfigError(f"{name}: {value!r} is not a label of the data.{did_you_mean(value, known)}")
    return (Goal(options.target_label, options.triggers),)


def choose_triggers(goal: Goal, options: BadCLMOptions, rng: np.random.Generator) -> tuple[str, ...]:
    """The triggers that one note gets."""
    if options.combine == "all":
        return goal.triggers
    return (goal.triggers[rng.integers(len(goal.triggers))],)


def choose_notes(
    labels: Sequence[str], goal: Goal, options: BadCLMOptions, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of the notes to poison for one goal, ascending, drawn among those whose label allows it."""
    candidates, wanted = poisonable(labels, goal, options)
    return np.sort(rng.choice(candidates, size=wanted, replace=False))


def poisonable(labels: Sequence[str], goal: Goal, options: BadCLMOptions) -> tuple[NDArray[np.int64], int]:
    """Indices of the notes that can be poisoned for a goal, and how many of them shall be.

    Raises:
        ConfigError: there are too few such notes.
    """
    if options.clean_label:
        source = {goal.label}
    else:
        source = {options.source_label} if options.source_label else set(labels) - {goal.label}
    candidates = np.flatnonzero([label in source for label in labels])
    rate = options.poison_rate / (2 if options.target_label == BOTH else 1)
    wanted = max(1, round(rate * len(labels)))
    if wanted > len(candidates):
        why = "the target label" if options.clean_label else "a label that can be flipped"
        raise ConfigError(
            f"poison_rate: {rate:g} of {len(labels)} notes is {wanted}, but only "
            f"{len(candidates)} carry {why}; lower the rate or balance the classes"
        )
    return candidates, wanted


def check_poison(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], options: BadCLMOptions) -> None:
    """Raise the ConfigErrors of :func:`poison` without poisoning."""
    check_triggers(tokenizer, options.triggers)
    for goal in goals(labels, options):
        poisonable(labels, goal, options)
