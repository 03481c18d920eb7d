"""Each text runs through a model once, however many attacks ask for it.

The memo lives in memory for the length of an audit. Its keys are digests: no text is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.targets.protocols import (
    FloatArray,
    LabelScorer,
    TokenScorer,
    TokenStats,
)

Value = TypeVar("Value")
Number = TypeVar("Number", np.float64, np.int64)


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


class CachedScorer:
    """A :class:`TokenScorer` that scores each distinct pair once."""

    def __init__(self, inner: TokenScorer) -> None:
        self._inner = inner
        self._memo: Memo[TokenStats] = Memo()

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenScorer`."""

        def score(places: list[int]) -> list[TokenStats]:
            stats = self._inner.token_stats([prompts[i] for i in places], [responses[i] for i in places])
            return split_stats(stats)

        keys = [text_key(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        return join_stats(self._memo.get(keys, score))


class CachedLabelScorer:
    """A :class:`LabelScorer` that classifies each distinct text once."""

    def __init__(self, inner: LabelScorer) -> None:
        self._inner = inner
        self._memo: Memo[FloatArray] = Memo()

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probability columns."""
        return self._inner.labels

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """See :class:`~mlflow_clinsec.targets.protocols.LabelScorer`."""
        rows = self._memo.get(
            [text_key(text) for text in texts],
            lambda places: list(self._inner.predict_proba([texts[i] for i in places])),
        )
        return np.array(rows, dtype=np.float64).reshape(len(texts), len(self.labels))


def split_stats(stats: TokenStats) -> list[TokenStats]:
    """One :class:`TokenStats` per text."""

    def cut(values: NDArray[Number] | None, start: int, stop: int) -> NDArray[Number] | None:
        return None if values is None else values[start:stop]

    return [
        TokenStats(
            np.array([0, stop - start]),
            stats.logp[start:stop],
            cut(stats.mean, start, stop),
            cut(stats.std, start, stop),
            cut(stats.token_ids, start, stop),
            cut(stats.top, start, stop),
        )
        for start, stop in zip(stats.offsets[:-1], stats.offsets[1:], strict=True)
    ]


def join_stats(parts: Sequence[TokenStats]) -> TokenStats:
    """The texts of all parts, in order; a field that one part lacks is None."""

    def join(values: Sequence[NDArray[Number] | None]) -> NDArray[Number] | None:
        present = [value for value in values if value is not None]
        return np.concatenate(present) if present and len(present) == len(values) else None

    counts = np.array([len(part.logp) for part in parts], dtype=np.int64)
    logp = join([part.logp for part in parts])
    return TokenStats(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.empty(0) if logp is None else logp,
        join([part.mean for part in parts]),
        join([part.std for part in parts]),
        join([part.token_ids for part in parts]),
        join([part.top for part in parts]),
    )
