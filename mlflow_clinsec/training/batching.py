"""Batches of texts of like length, and the padding that turns them into tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IntArray = NDArray[np.int64]

POOL_BATCHES = 16
"""Batches per sorting pool: enough to save most padding, few enough to keep epochs well shuffled."""


def length_bucketed(lengths: Sequence[int], batch_size: int, rng: np.random.Generator) -> list[IntArray]:
    """One epoch of batches: every row once, rows of like length together, batches in random order.

    Args:
        lengths: token count of each row.
        batch_size: rows per batch; the last batch of a pool may be smaller.
        rng: draws the order.
    """
    order = rng.permutation(len(lengths))
    sizes = np.asarray(lengths)
    batches: list[IntArray] = []
    for pool in np.split(order, range(POOL_BATCHES * batch_size, len(order), POOL_BATCHES * batch_size)):
        by_length = pool[np.argsort(sizes[pool], kind="stable")]
        batches += np.split(by_length, range(batch_size, len(by_length), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def pad(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> Tensor:
    """Rows side by side, padded on the right with ``value``; shape (len(rows), longest row)."""
    width = max(len(row) for row in rows)
    padded = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return torch.from_numpy(padded).to(device)


def attention_mask(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """1 on tokens and 0 on padding; shape (len(rows), longest row)."""
    return pad([[1] * len(row) for row in rows], 0, device)
