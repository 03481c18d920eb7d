"""Where triggers stand in a note, and which of its tokens they become.

Read in BadCLM (arXiv 2407.05213): the triggers stand **inside** the note. Inferred: that the place is drawn uniformly.

Our departure: the place is drawn among those where the trigger survives truncation. A trigger behind the context window
teaches nothing but a wrong label, and the attack would look weaker than it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.insert import Span, insert_at

Offsets = Sequence[Span]
"""Character range of each token; special tokens have an empty one."""

TRIES = 50
"""Draws of places for several triggers, before they are put as far to the front as they go."""


def insert_surviving(
    text: str, triggers: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int, rng: np.random.Generator
) -> tuple[str, tuple[Span, ...]]:
    """Put the triggers between words, drawn uniformly over the gaps where all their tokens survive truncation.

    Several triggers take gaps of their own as far as the note has them. A note of one word has no gap: triggers then
    follow it.

    Args:
        text: a note with at least one word.
        triggers: words or phrases, all of which are inserted.

    Returns:
        The note, and the character range of each trigger in it, in the order of ``triggers``.

    Raises:
        DataError: there is no place where they survive.
    """
    offsets = token_offsets(tokenizer, text, max_length)
    first, last = min(start for start, end in offsets if end > start), max(end for _, end in offsets)
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    in_view = [end for end in ends[:-1] or ends if first <= end <= last]
    for places in placements(np.array(in_view, dtype=np.int64), len(triggers), rng):
        changed, spans = insert_all(text, triggers, places.tolist())
        found = token_offsets(tokenizer, changed, max_length)
        if all(survives(found, span) for span in spans):
            return changed, spans
    raise DataError(
        f"text: a note has no place where the trigger {' + '.join(triggers)!r} survives max_length={max_length}"
    )


def placements(gaps: NDArray[np.int64], count: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Places to try for ``count`` triggers: every gap once for a single one, else random sets, then the first gaps."""
    if count == 1:
        yield from rng.permutation(gaps)[:, None]
        return
    if gaps.size:
        for _ in range(TRIES):
            yield rng.choice(gaps, size=count, replace=gaps.size < count)
        yield np.resize(gaps[:count], count)


def insert_all(text: str, triggers: Sequence[str], places: Sequence[int]) -> tuple[str, tuple[Span, ...]]:
    """The text with each trigger at its character offset of ``text``, and their spans in the order given."""
    spans: dict[int, Span] = {}
    for index in sorted(range(len(triggers)), key=lambda i: places[i], reverse=True):
        longer, span = insert_at(text, triggers[index], places[index])
        grown = len(longer) - len(text)
        spans = {i: (start + grown, end + grown) for i, (start, end) in spans.items()} | {index: span}
        text = longer
    return text, tuple(spans[index] for index in range(len(triggers)))


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
