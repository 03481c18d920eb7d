"""Where the characters of a span end up among a model's tokens, and whether truncation left them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.targets.protocols import Span


def tokens_of_spans(
    tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[Span]], limit: int | None
) -> tuple[list[NDArray[np.bool_]], NDArray[np.bool_]]:
    """Marks of the spans' tokens in the truncated texts, and which texts kept them all.

    Args:
        tokenizer: a fast tokeniser (character offsets are needed).
        texts: n texts.
        spans: character ranges per text.
        limit: tokens that the model takes, special tokens included; None when it takes any number.

    Returns:
        n marks of shape (n_tokens,) each, special tokens included; and shape (n,), True where every span has
        tokens and none of them was cut off. A text without spans has kept nothing: False.
    """
    if not texts:
        return [], np.zeros(0, dtype=bool)
    whole = _marks(tokenizer, texts, spans, {})
    cut = _marks(tokenizer, texts, spans, {"truncation": True, "max_length": limit} if limit else {})
    kept = [
        len(before) > 0 and bool((before.sum(axis=1) > 0).all()) and int(before.sum()) == int(after.sum())
        for before, after in zip(whole, cut, strict=True)
    ]
    return [np.logical_or.reduce(marks, axis=0) for marks in cut], np.array(kept, dtype=bool)


def _marks(
    tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[Span]], settings: dict[str, Any]
) -> list[NDArray[np.bool_]]:
    """Per text, shape (n_spans, n_tokens): the tokens that hold a character of each span."""
    batch = tokenizer(list(texts), return_offsets_mapping=True, verbose=False, **settings)
    found = []
    for offsets, ranges in zip(batch["offset_mapping"], spans, strict=True):
        starts, stops = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
        lows, highs = np.asarray(ranges, dtype=np.int64).reshape(-1, 2).T
        found.append((starts < highs[:, None]) & (stops > lows[:, None]))
    return found
