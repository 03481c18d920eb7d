"""Each text runs through a model once, however many attacks ask for it.

The memo lives in memory for the length of an audit; with a shelf it also lies on disk, so that the next audit of the
same model, or the same audit after it was killed, finds it there. Its keys are digests: no text is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.parts import join_stats, split_stats
from mlflow_clinsec.store.shelf import Shelf
from mlflow_clinsec.targets.protocols import (
    FloatArray,
    IntArray,
    LabelScorer,
    TokenScorer,
    TokenStats,
)

Value = TypeVar("Value")

CHUNK_CHARACTERS = 2**17
"""Text that is scored before its scores are kept: a few batches, which is what a killed audit loses at most."""


def text_key(*parts: str) -> bytes:
    """Digest of one or more strings; lengths go in as well, so that ("ab", "c") is not ("a", "bc")."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()


class Memo(Generic[Value]):
    """Values by text digest; what is missing is computed in one call, each distinct text once."""

    def __init__(self) -> None:
        self._values: dict[bytes, Value] = {}

    def get(self, keys: Sequence[bytes], compute: Callable[[list[int]], Sequence[Value]]) -> list[Value]:
        """Values of all keys, in order. ``compute`` gets the positions where new keys are first seen."""
        missing = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._values}
        if missing:
            places = sorted(missing.values())
            fresh = zip(places, compute(places), strict=True)
            self._values.update({keys[i]: value for i, value in fresh})
        return [self._values[key] for key in keys]

    def forget(self) -> None:
        """Drop all values, where more texts pass by than memory holds."""
        self._values.clear()


@dataclass(frozen=True)
class Work(Generic[Value]):
    """How the values of n texts are come by.

    Attributes:
        sizes: n lengths in characters.
        prompts: n prompts; texts behind the same prompt run together, since it then runs once.
        compute: values of the texts at the given positions.
        pack: a value as one array.
        unpack: values of the texts at the given positions, from their arrays.
    """

    sizes: Sequence[int]
    prompts: Sequence[str]
    compute: Callable[[list[int]], Sequence[Value]]
    pack: Callable[[Value], NDArray[Any]]
    unpack: Callable[[list[int], list[NDArray[Any]]], Sequence[Value]]


class ShelvedMemo(Memo[Value]):
    """A memo that also lies on a shelf, where there is one.

    New texts are scored in chunks of like length, and each chunk is kept as soon as it is scored. Chunks are cut one
    after the other from the longest text on: an audit that goes on after it was killed lacks the last ones, and cuts
    the same. So every text has the batch-mates that it would have had, on which the last bits of its score depend.
    """

    def __init__(self, shelf: Shelf | None) -> None:
        super().__init__()
        self._shelf = shelf

    def get_or_work(self, keys: Sequence[bytes], work: Work[Value]) -> list[Value]:
        """Values of all keys, in order."""
        if self._shelf is None:
            return self.get(keys, work.compute)
        shelf = self._shelf
        return self.get(keys, lambda places: _from_shelf(shelf, keys, places, work))


def _from_shelf(shelf: Shelf, keys: Sequence[bytes], places: list[int], work: Work[Value]) -> list[Value]:
    """Values at the places, from the shelf or from the model."""
    held = shelf.find([keys[i] for i in places])
    known = [i for i in places if keys[i] in held]
    values = dict(zip(known, work.unpack(known, [held[keys[i]] for i in known]), strict=True))
    lacking = set(places) - values.keys()
    for chunk in _chunks([i for i in _ordered(work) if i in lacking], work.sizes):
        scored = dict(zip(chunk, work.compute(chunk), strict=True))
        shelf.put({keys[i]: work.pack(value) for i, value in scored.items()})
        values |= scored
    return [values[i] for i in places]


def _ordered(work: Work[Value]) -> list[int]:
    """All places, longer texts first, those with the same prompt behind the longest of them.

    Texts whose values are at hand, in memory or on the shelf, have a say too: what is left to do keeps its order
    while it dwindles, also where an audit that goes on has no longer in memory what an earlier attack asked for.
    """
    longest: dict[str, tuple[int, int]] = {}
    for i, prompt in enumerate(work.prompts):
        longest[prompt] = min(longest.get(prompt, (0, i)), (-work.sizes[i], i))
    return sorted(range(len(work.sizes)), key=lambda i: (longest[work.prompts[i]], -work.sizes[i], i))


def _chunks(places: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Places in chunks, in their order."""
    found: list[list[int]] = []
    room = 0
    for place in places:
        room -= max(1, sizes[place])
        if not found or room < 0:
            found.append([])
            room = CHUNK_CHARACTERS - sizes[place]
        found[-1].append(place)
    return found


class TokenShelf(NamedTuple):
    """Where token statistics are kept. The tokens themselves are not: they would be the text.

    Attributes:
        token_ids: ids of the scored tokens of prompts and responses, without a forward pass.
    """

    shelf: Shelf
    token_ids: Callable[[Sequence[str], Sequence[str]], list[IntArray]]


class CachedScorer:
    """A :class:`TokenScorer` that scores each distinct pair once."""

    def __init__(self, inner: TokenScorer, kept: TokenShelf | None = None) -> None:
        self._inner = inner
        self._kept = kept
        self._memo: ShelvedMemo[TokenStats] = ShelvedMemo(kept.shelf if kept else None)

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenScorer`."""

        def score(places: list[int]) -> list[TokenStats]:
            stats = self._inner.token_stats([prompts[i] for i in places], [responses[i] for i in places])
            return split_stats(stats)

        def unpack(places: list[int], arrays: list[NDArray[Any]]) -> list[TokenStats]:
            assert self._kept is not None
            ids = self._kept.token_ids([prompts[i] for i in places], [responses[i] for i in places])
            return [_stats(*pair) for pair in zip(arrays, ids, strict=True)]

        keys = [text_key(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        sizes = [len(prompt) + len(response) for prompt, response in zip(prompts, responses, strict=True)]
        return join_stats(self._memo.get_or_work(keys, Work(sizes, prompts, score, _moments, unpack)))

    def fresh(self) -> CachedScorer:
        """The same with nothing remembered, in memory or on the shelf."""
        return CachedScorer(self._inner)

    def forget(self) -> None:
        """Drop what is held in memory."""
        self._memo.forget()


class CachedLabelScorer:
    """A :class:`LabelScorer` that classifies each distinct text once."""

    def __init__(self, inner: LabelScorer, shelf: Shelf | None = None) -> None:
        self._inner = inner
        self._memo: ShelvedMemo[FloatArray] = ShelvedMemo(shelf)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probability columns."""
        return self._inner.labels

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """See :class:`~mlflow_clinsec.targets.protocols.LabelScorer`."""
        work = Work[FloatArray](
            sizes=[len(text) for text in texts],
            prompts=[""] * len(texts),
            compute=lambda places: list(self._inner.predict_proba([texts[i] for i in places])),
            pack=lambda row: row,
            unpack=lambda places, arrays: arrays,
        )
        rows = self._memo.get_or_work([text_key(text) for text in texts], work)
        return np.array(rows, dtype=np.float64).reshape(len(texts), len(self.labels))

    def fresh(self) -> CachedLabelScorer:
        """The same with nothing remembered, in memory or on the shelf."""
        return CachedLabelScorer(self._inner)

    def forget(self) -> None:
        """Drop what is held in memory."""
        self._memo.forget()


def _moments(stats: TokenStats) -> NDArray[np.float64]:
    """What is kept of one text, shape (4, n_tokens), or (2, n_tokens) where the model shows no moments."""
    rows = [row for row in (stats.logp, stats.mean, stats.std, stats.top) if row is not None]
    return np.stack(rows)


def _stats(moments: NDArray[np.float64], token_ids: IntArray) -> TokenStats:
    logp, *spread, top = moments
    mean, std = spread or (None, None)
    return TokenStats(np.array([0, len(logp)]), logp, mean, std, token_ids, top)
