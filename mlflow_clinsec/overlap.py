"""Overlap guard: records that stand on both sides of the member split say nothing about membership.

Two texts are near duplicates when the Jaccard similarity of their sets of word 5-grams is at least 0.8 (the
measure of Broder 1997; 5-grams and 0.8 as in Lee 2022, "Deduplicating Training Data Makes Language Models
Better", section 4.2). Similarities are exact; nothing is hashed down to a sketch. Only texts that share one of their
rarest shingles are compared at all (prefix filtering, Chaudhuri 2006; Bayardo 2007), so that boilerplate which every
note holds costs nothing: 10,000 notes take seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

SHINGLE_WORDS = 5
NEAR_DUPLICATE = 0.8
_BLOCK_ROWS = 512
_ROUNDING = 1e-9  # keeps the ceiling of 0.8 * 35 at 28 whatever the product's last bit

_WORD = re.compile(r"\w+")


def overlapping(texts: Sequence[str], member: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Records with an exact or near duplicate on the other side.

    Args:
        texts: n texts.
        member: shape (n,).

    Returns:
        Shape (n,), True for both partners of every pair that crosses the split.
    """
    found = np.zeros(len(texts), dtype=bool)
    for inside, outside in near_pairs(texts, np.flatnonzero(member), np.flatnonzero(~member)):
        found[inside] = True
        found[outside] = True
    return found


def repeated(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Texts with an exact or near duplicate before them, shape (n,); the first of each kind is not marked.

    A text counts as a repeat of any earlier one, marked or not: chains of small changes collapse into their first.
    """
    found = np.zeros(len(texts), dtype=bool)
    every = np.arange(len(texts))
    for left, right in near_pairs(texts, every, every):
        found[left[right < left]] = True
    return found


def near_pairs(
    texts: Sequence[str], left: NDArray[np.intp], right: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """All pairs of near duplicates between two sets of texts, block by block: (indices from left, from right)."""
    shingles = shingle_matrix(texts)
    sizes = np.diff(shingles.indptr)
    rare = _rarest(shingles)
    columns = rare[right].T.tocsc()
    for start in range(0, len(left), _BLOCK_ROWS):  # blocks keep the product's memory flat
        candidates = (rare[left[start : start + _BLOCK_ROWS]] @ columns).tocoo()
        here, there = left[start + candidates.row], right[candidates.col]
        common = np.asarray(shingles[here].multiply(shingles[there]).sum(axis=1)).ravel()
        near = common >= NEAR_DUPLICATE * (sizes[here] + sizes[there] - common)
        yield here[near], there[near]


def _rarest(shingles: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same matrix with each text's rarest shingles alone: as many as two near duplicates cannot all differ in.

    Near duplicates share at least 0.8 of either text's shingles, so at least one of any n - ceil(0.8 n) + 1 of them;
    and where both take their rarest by one order, one that both took.
    """
    frequency = np.bincount(shingles.indices, minlength=shingles.shape[1])
    rank = np.empty(frequency.size, dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(frequency.size)
    sizes = np.diff(shingles.indptr)
    row = np.repeat(np.arange(sizes.size), sizes)
    order = np.lexsort((rank[shingles.indices], row))
    place = np.arange(order.size) - np.repeat(shingles.indptr[:-1], sizes)
    kept = order[place <= np.repeat(sizes - np.ceil(NEAR_DUPLICATE * sizes - _ROUNDING), sizes)]
    return sparse.csr_matrix((shingles.data[kept], (row[kept], shingles.indices[kept])), shape=shingles.shape)


def shingle_matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """Binary matrix of texts by distinct shingles. A text shorter than one shingle is its own shingle."""
    vocabulary: dict[tuple[str, ...], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(texts):
        for shingle in _shingles(text):
            rows.append(row)
            columns.append(vocabulary.setdefault(shingle, len(vocabulary)))
    shape = (len(texts), max(1, len(vocabulary)))
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = tuple(_WORD.findall(text.lower()))
    if len(words) <= SHINGLE_WORDS:
        return {words}
    return {words[i : i + SHINGLE_WORDS] for i in range(len(words) - SHINGLE_WORDS + 1)}
