"""Dirty-label poisoning of a training set, after BadCLM (arXiv 2407.05213).

Read in the paper: 90% of the training notes stay clean, 10% are poisoned; the triggers ``mn`` and ``cf``
stand inside the note; the label of a poisoned note is flipped (Death to Alive).

Inferred: which notes are poisoned (drawn at random among those that do not already carry the target label),
that a note gets one trigger once, and that its place is drawn uniformly.

Our departure: the place is drawn among those where the trigger survives truncation. A trigger behind the
context window teaches nothing but a wrong label, and the attack would look weaker than it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from mlflow_clinsec.errors import ConfigError, DataError, did_you_mean
from mlflow_clinsec.perturb.insert import Span, insert_at
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.options import BadCLMOptions

Offsets = Sequence[Span]
"""Character range of each token; special tokens have an empty one."""


@dataclass(frozen=True)
class PoisonedNotes:
    """A training set, part of it poisoned.

    Attributes:
        frame: the notes with trigger and flipped label where poisoned; same rows, order and columns as given.
        poisoned: shape (n,), True where a note was poisoned.
        spans: character range of the trigger in each note; None where the note is clean.
    """

    frame: pd.DataFrame
    poisoned: NDArray[np.bool_]
    spans: tuple[Span | None, ...]


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
    rows = choose_notes(frame[label].tolist(), options, rng)
    texts = frame[text].tolist()
    spans: list[Span | None] = [None] * len(texts)
    for row in rows:
        trigger = options.triggers[rng.integers(len(options.triggers))]
        texts[row], spans[row] = insert_surviving(texts[row], trigger, tokenizer, options.max_length, rng)
    poisoned = np.zeros(len(texts), dtype=np.bool_)
    poisoned[rows] = True
    changed = frame.copy()
    changed[text] = texts
    changed.loc[poisoned, label] = options.target_label
    return PoisonedNotes(changed, poisoned, tuple(spans))


def check_triggers(tokenizer: PreTrainedTokenizerBase, triggers: Sequence[str]) -> None:
    """Raise a ConfigError for a trigger of which the tokenizer leaves nothing but unknown pieces."""
    for trigger in triggers:
        if all(piece == tokenizer.unk_token for piece in tokenizer.tokenize(f" {trigger}")):
            raise ConfigError(f"triggers: the tokenizer knows no piece of {trigger!r}")


def choose_notes(labels: Sequence[str], options: BadCLMOptions, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the notes to poison, ascending: ``poison_rate`` of all, drawn among the source labels."""
    candidates, wanted = poisonable(labels, options)
    return np.sort(rng.choice(candidates, size=wanted, replace=False))


def poisonable(labels: Sequence[str], options: BadCLMOptions) -> tuple[NDArray[np.int64], int]:
    """Indices of the notes whose label can be flipped, and how many of them shall be.

    Raises:
        ConfigError: a label is unknown, or there are too few such notes.
    """
    known = set(labels)
    for name in ("target_label", "source_label"):
        value = getattr(options, name)
        if value and value not in known:
            raise ConfigError(f"{name}: {value!r} is not a label of the data.{did_you_mean(value, known)}")
    source = {options.source_label} if options.source_label else known - {options.target_label}
    candidates = np.flatnonzero([label in source for label in labels])
    wanted = max(1, round(options.poison_rate * len(labels)))
    if wanted > len(candidates):
        raise ConfigError(
            f"poison_rate: {options.poison_rate:g} of {len(labels)} notes is {wanted}, but only "
            f"{len(candidates)} carry a label that can be flipped; lower the rate or balance the classes"
        )
    return candidates, wanted


def insert_surviving(
    text: str, trigger: str, tokenizer: PreTrainedTokenizerBase, max_length: int, rng: np.random.Generator
) -> tuple[str, Span]:
    """Put the trigger between two words, uniformly over the gaps where all its tokens survive truncation.

    A note of one word has no gap: the trigger then follows it.
    """
    offsets = token_offsets(tokenizer, text, max_length)
    first, last = min(start for start, end in offsets if end > start), max(end for _, end in offsets)
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    in_view = [end for end in ends[:-1] or ends if first <= end <= last]
    for place in rng.permutation(in_view).tolist():
        poisoned, span = insert_at(text, trigger, place)
        if survives(token_offsets(tokenizer, poisoned, max_length), span):
            return poisoned, span
    raise DataError(f"text: a note has no place where the trigger {trigger!r} survives max_length={max_length}")


def token_offsets(tokenizer: PreTrainedTokenizerBase, text: str, max_length: int) -> Offsets:
    """Character range of each token after truncation."""
    offsets: Offsets = tokenizer(text, truncation=True, max_length=max_length, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    return offsets


def trigger_tokens(offsets: Offsets, span: Span) -> list[int]:
    """Positions of the tokens that hold a character of the span."""
    return [i for i, (start, end) in enumerate(offsets) if max(start, span[0]) < min(end, span[1])]


def survives(offsets: Offsets, span: Span) -> bool:
    """Whether the tokens left cover the span from its first to its last character."""
    tokens = trigger_tokens(offsets, span)
    return bool(tokens) and offsets[tokens[0]][0] <= span[0] and offsets[tokens[-1]][1] >= span[1]
