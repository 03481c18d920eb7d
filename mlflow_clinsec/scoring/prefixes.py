"""Texts that begin alike: one pass over the shared beginning serves them all.

A record and its paraphrases share the prompt where only the answer is reworded, and every record of a prefix attack
stands behind the same shots. What may be shared of a text ends before the token that predicts its first scored one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.batches import GPU_BATCH_TOKENS

IntArray = NDArray[np.int64]

LEAST_SHARED = 16
"""Tokens below which a beginning is not worth a pass of its own."""
LEAST_SAVED = 0.1
"""Share of all tokens that sharing must save, so that models see few batches of another shape for little."""
HELD = 8
"""Tokens of whole texts in a batch behind shared beginnings, over those that run at once (``benchmarks.speed``)."""


@dataclass(frozen=True, eq=False)
class SharedBatch:
    """Texts that run together behind their beginnings.

    Attributes:
        heads: g beginnings.
        owner: shape (n,), which beginning each text has.
        texts: shape (n,), indices of the texts.
    """

    heads: tuple[IntArray, ...]
    owner: IntArray
    texts: IntArray


def shared_batches(
    ids: Sequence[IntArray], limits: Sequence[int], batch_tokens: int
) -> tuple[list[SharedBatch], list[int]]:
    """Batches of texts with shared beginnings, and the indices of texts that share none.

    The pass over a batch's beginnings and the pass over what follows them stay within ``batch_tokens`` each, as
    :func:`~mlflow_clinsec.scoring.batches.length_batches` does. Keys and values of the whole texts are kept between the
    two: of :data:`HELD` times as many tokens where that is not more than a GPU's batch, so that a long beginning does
    not run again for every few texts.

    Args:
        ids: tokens of each text.
        limits: how many tokens of each text may be shared.
    """
    lengths = _shared_lengths(ids, limits)
    families: dict[bytes, list[int]] = defaultdict(list)
    for i, length in enumerate(lengths):
        if length:
            families[ids[i][:length].tobytes()].append(i)
    sharing = [i for members in families.values() for i in members if len(members) > 1]
    alone = sorted(set(range(len(ids))) - set(sharing))
    return _cut(ids, lengths, families, set(sharing), batch_tokens), alone


def _shared_lengths(ids: Sequence[IntArray], limits: Sequence[int]) -> list[int]:
    """How much of each text is shared: one beginning of all, or whole beginnings of some, whatever saves more."""
    common = _common_beginning(ids, limits)
    counts: dict[bytes, int] = defaultdict(int)
    for text, limit in zip(ids, limits, strict=True):
        counts[text[:limit].tobytes()] += 1
    by_all = common * (len(ids) - 1) if common >= LEAST_SHARED else 0
    own = [
        limit if limit >= LEAST_SHARED and counts[text[:limit].tobytes()] > 1 else 0
        for text, limit in zip(ids, limits, strict=True)
    ]
    by_some = sum(own) - sum({text[:limit].tobytes(): limit for text, limit in zip(ids, own, strict=True)}.values())
    if max(by_all, by_some) < LEAST_SAVED * max(1, sum(map(len, ids))):
        return [0] * len(ids)
    return own if by_some >= by_all else [common] * len(ids)


def _common_beginning(ids: Sequence[IntArray], limits: Sequence[int]) -> int:
    """Length of the longest beginning of all texts that all may share."""
    if len(ids) < 2:
        return 0
    length = min(limits)
    for text in ids[1:]:
        differ = np.flatnonzero(text[:length] != ids[0][:length])
        length = int(differ[0]) if differ.size else length
    return length


def _cut(
    ids: Sequence[IntArray],
    lengths: Sequence[int],
    families: dict[bytes, list[int]],
    sharing: set[int],
    batch_tokens: int,
) -> list[SharedBatch]:
    """Texts in the order of their beginnings, longest first, cut where a batch is full."""
    kept = [members for members in families.values() if sharing.issuperset(members)]
    kept.sort(key=lambda members: (-lengths[members[0]], members[0]))
    batches: list[_Filling] = []
    for members in kept:
        last: _Filling | None = None
        for i in sorted(members, key=lambda i: (-len(ids[i]), i)):
            rest = len(ids[i]) - lengths[i]
            begins = not batches or batches[-1] is not last
            if not batches or not batches[-1].takes(rest, begins, batch_tokens):
                batches.append(_Filling(head=lengths[i]))
                begins = True
            last = batches[-1]
            last.add(i, rest, begins)
    return [_batch(ids, lengths, filling.texts) for filling in batches]


@dataclass(eq=False)
class _Filling:
    """A batch that is being filled.

    Attributes:
        head: tokens of its longest beginning, which is its first.
        heads: beginnings.
        rest: tokens of the longest text behind its beginning.
    """

    head: int
    heads: int = 0
    rest: int = 0
    texts: list[int] = field(default_factory=list)

    def takes(self, rest: int, begins: bool, batch_tokens: int) -> bool:
        """Whether one more text leaves both passes, and what is kept between them, within bounds."""
        texts, longest, heads = len(self.texts) + 1, max(self.rest, rest), self.heads + begins
        held = max(batch_tokens, min(HELD * batch_tokens, GPU_BATCH_TOKENS))
        return (
            texts * longest <= batch_tokens
            and (heads == 1 or heads * self.head <= batch_tokens)
            and texts * (self.head + longest) <= held
        )

    def add(self, text: int, rest: int, begins: bool) -> None:
        """Take in one more text."""
        self.texts.append(text)
        self.heads += begins
        self.rest = max(self.rest, rest)


def _batch(ids: Sequence[IntArray], lengths: Sequence[int], texts: list[int]) -> SharedBatch:
    heads: dict[bytes, IntArray] = {}
    for i in texts:
        head = ids[i][: lengths[i]]
        heads.setdefault(head.tobytes(), head)
    places = {key: place for place, key in enumerate(heads)}
    owner = [places[ids[i][: lengths[i]].tobytes()] for i in texts]
    return SharedBatch(tuple(heads.values()), np.array(owner), np.array(texts))
