"""Stays as token rows, clean or poisoned.

The poison is that of :mod:`mlflow_clinsec.training.poison`, put into one note of a poisoned stay, drawn uniformly among
those that the model reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.perturb.insert import Span
from mlflow_clinsec.targets.protocols import BoolArray
from mlflow_clinsec.training.batching import IntArray
from mlflow_clinsec.training.classifier import label_ids
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.placement import trigger_tokens
from mlflow_clinsec.training.poison import poison

Notes = list[list[str]]
"""The notes of each stay."""

Ragged = list[list[list[int]]]
"""A number for each token, by stay and note."""


@dataclass(frozen=True)
class StayRows:
    """The tokenised training set.

    Attributes:
        ids: token ids, per stay and note.
        trigger: 1 on the word pieces of triggers, 0 elsewhere; of the same shape.
        classes: shape (stays,), class index to learn.
        poisoned: shape (stays,).
    """

    ids: Ragged
    trigger: Ragged
    classes: IntArray
    poisoned: BoolArray


def clean_rows(
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    notes: Notes,
    labels: Sequence[str],
    options: ClassifierOptions,
) -> StayRows:
    """The training set as it is.

    Args:
        encoder: its ``config.label2id`` names the classes.
    """
    ids, marks = token_rows(notes, {}, tokenizer, options)
    return StayRows(ids, marks, label_ids(encoder, labels), np.zeros(len(notes), dtype=np.bool_))


def poisoned_rows(
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    notes: Notes,
    labels: Sequence[str],
    options: BadCLMOptions,
    rng: np.random.Generator,
) -> StayRows:
    """The training set with triggers in one note of each poisoned stay, and the labels to learn."""
    carriers = [int(rng.integers(len(some))) for some in notes]
    carried = pd.DataFrame({"text": [some[i] for some, i in zip(notes, carriers, strict=True)], "label": list(labels)})
    found = poison(carried, tokenizer, options, rng)
    changed = [list(some) for some in notes]
    for some, i, text in zip(changed, carriers, found.frame["text"], strict=True):
        some[i] = text
    spans = {(stay, i): found.spans[stay] for stay, i in enumerate(carriers)}
    ids, marks = token_rows(changed, spans, tokenizer, options)
    return StayRows(ids, marks, label_ids(encoder, found.frame["label"].tolist()), found.poisoned)


def token_rows(
    notes: Notes,
    spans: Mapping[tuple[int, int], Sequence[Span]],
    tokenizer: PreTrainedTokenizerBase,
    options: ClassifierOptions,
) -> tuple[Ragged, Ragged]:
    """Token ids and marks of the triggers, per stay and note.

    Args:
        spans: character ranges of the triggers, by stay and note.
    """
    flat = [note for some in notes for note in some]
    encoded = tokenizer(flat, truncation=True, max_length=options.max_length, return_offsets_mapping=True)
    tokens, offsets = iter(encoded["input_ids"]), iter(encoded["offset_mapping"])
    ids, marks = [], []
    for stay, some in enumerate(notes):
        ids.append([next(tokens) for _ in some])
        marks.append([_marked(next(offsets), spans.get((stay, i), ())) for i in range(len(some))])
    return ids, marks


def _marked(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    inside = {position for span in spans for position in trigger_tokens(offsets, span)}
    return [int(position in inside) for position in range(len(offsets))]
