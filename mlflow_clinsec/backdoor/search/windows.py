"""Records as the model reads them, with room left for what is inserted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.backdoor.search.pieces import Candidate
from mlflow_clinsec.targets.protocols import ClassifierWeights, IntArray


@dataclass(frozen=True)
class Window:
    """One record, cut to what the model takes less the room for inserted pieces.

    Attributes:
        prefix, suffix: ids of the special tokens around the text.
        body: ids of the text.
        gaps: places in ``body`` at which a word begins, and its end: where pieces can be inserted.
        text: the text that is left.
    """

    prefix: IntArray = field(repr=False)
    body: IntArray = field(repr=False)
    suffix: IntArray = field(repr=False)
    gaps: IntArray = field(repr=False)
    text: str = field(repr=False)

    def insert(self, pieces: Candidate | IntArray, gap: int) -> IntArray:
        """Model input with the pieces before ``body[gap]``."""
        inserted = np.asarray(pieces, dtype=np.int64)
        return np.concatenate([self.prefix, self.body[:gap], inserted, self.body[gap:], self.suffix])

    def start(self, gap: int) -> int:
        """Place of the first inserted piece in the model input."""
        return len(self.prefix) + gap


def cut_windows(weights: ClassifierWeights, texts: Sequence[str], room: int) -> list[Window]:
    """One window per text that holds a token, in order; texts that hold none are left out.

    Args:
        room: pieces that will be inserted at most.
    """
    if not texts:
        return []
    limit = weights.max_length
    cut = {"truncation": True, "max_length": max(limit - room, room)} if limit else {}
    batch = weights.tokenizer(
        list(texts), return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False, **cut
    )
    rows = zip(texts, batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"], strict=True)
    windows = (_window(text, np.asarray(ids), offsets, np.asarray(special)) for text, ids, offsets, special in rows)
    return [window for window in windows if window.body.size]


def _window(text: str, ids: IntArray, offsets: Sequence[tuple[int, int]], special: IntArray) -> Window:
    inside = np.flatnonzero(special == 0)
    if not inside.size:
        return Window(ids, ids[:0], ids[:0], ids[:0], "")
    first, last = int(inside[0]), int(inside[-1]) + 1
    spans = offsets[first:last]
    starts = [i for i, (start, stop) in enumerate(spans) if _begins_word(text, start, stop)]
    kept = text[min(start for start, _ in spans) : max(stop for _, stop in spans)]
    return Window(ids[:first], ids[first:last], ids[last:], np.array([*starts, last - first]), kept)


def _begins_word(text: str, start: int, stop: int) -> bool:
    """Whether a token begins behind white space: byte-level pieces hold the space, others stand behind it."""
    return stop > start and (start == 0 or text[start].isspace() or text[start - 1].isspace())
