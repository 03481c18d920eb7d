"""Overlap guard: records that stand on both sides of the member split say nothing about membership.

Two texts are near duplicates when the Jaccard similarity of their sets of word 5-grams is at least 0.8 (the
measure of Broder 1997; 5-grams and 0.8 as in Lee 2022, "Deduplicating Training Data Makes Language Models
Better", section 4.2). Similarities are exact, from a sparse product; nothing is hashed down to a sketch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

SHINGLE_WORDS = 5
NEAR_DUPLICATE = 0.8
_BLOCK_ROWS = 512

_WORD = re.compile(r"\w+")


def overlapping(texts: Sequence[str], member: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Records with an exact or near duplicate on the other side.

    Args:
        texts: n texts.
        member: shape (n,).

    Returns:
        Shape (n,), True for both partners of every pair that crosses the split.
    """
    shingles = shingle_matrix(texts)
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    inside, outside = np.flatnonzero(member), np.flatnonzero(~member)
    columns = shingles[outside].T.tocsc()
    found = np.zeros(len(texts), dtype=bool)
    for start in range(0, len(inside), _BLOCK_ROWS):  # blocks keep the product's memory flat
        block = inside[start : start + _BLOCK_ROWS]
        common = (shingles[block] @ columns).tocoo()
        union = sizes[block[common.row]] + sizes[outside[common.col]] - common.data
        near = common.data >= NEAR_DUPLICATE * union
        found[block[common.row[near]]] = True
        found[outside[common.col[near]]] = True
    return found


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
