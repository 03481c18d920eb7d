"""Batches of sequences of like length, so that little work goes into padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BATCH_TOKENS = 1024
"""Tokens in a batch on a processor: its caches hold what so many tokens need, and larger batches are slower
(``benchmarks.speed``)."""
GPU_BATCH_TOKENS = 8192
"""Tokens in a batch on a GPU, which fewer would not keep busy."""


def length_batches(lengths: Sequence[int], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Indices of the sequences, batch by batch, longest first so that memory runs out at once or never.

    A batch of b sequences costs b times its longest length and stays within ``batch_tokens``; a sequence
    that is longer than the budget stands alone. Callers put results back by index.

    Raises:
        ValueError: the budget is not positive.
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens must be at least 1, got {batch_tokens}")
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    while order.size:
        size = max(1, batch_tokens // max(1, lengths[order[0]]))
        batches.append(order[:size])
        order = order[size:]
    return batches


def pad_right(rows: Sequence[NDArray[np.int64]], value: int) -> NDArray[np.int64]:
    """Rows of token ids as one array, shape (n, longest), filled up with ``value``."""
    out = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for target, row in zip(out, rows, strict=True):
        target[: len(row)] = row
    return out
