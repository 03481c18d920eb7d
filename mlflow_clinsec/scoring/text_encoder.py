"""Texts as a classifier's inputs, at little cost where many of them differ by a word only."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.inputs import Features, refuse_empty, tokenise
from mlflow_clinsec.scoring.spans import tokens_of_spans
from mlflow_clinsec.scoring.wordwise import WordCache, cuts_at_blanks
from mlflow_clinsec.targets.protocols import BoolArray, Span

logger = logging.getLogger(__name__)

COMPARED = 8
"""Texts of the first call that are tokenised both ways."""

CHARACTERS_PER_TOKEN = 8
"""More than most text has, so that the end of a long note is not read in vain."""
BLANKS = " \t\n\r"


class TextEncoder:
    """Encodes whole texts as :func:`~mlflow_clinsec.scoring.inputs.encode_texts` does, word by word where that gives
    the same.

    Args:
        tokenizer: the model's tokeniser.
        limit: tokens that the model takes, special tokens included; None for any number.
    """

    def __init__(self, tokenizer: Any, limit: int | None) -> None:
        self._tokenizer = tokenizer
        self._limit = limit
        self._words = _Wordwise.of(tokenizer, limit)
        self._compared = False

    def encode(self, texts: Sequence[str]) -> list[Features]:
        """See :func:`~mlflow_clinsec.scoring.inputs.encode_texts`.

        Raises:
            TargetError: a text gave no token at all.
        """
        self._compare_once(texts)
        rows = [self._words.features(text) if self._words else None for text in texts]
        left = [i for i, row in enumerate(rows) if row is None]
        for i, row in zip(left, tokenise(self._tokenizer, [texts[i] for i in left], self._limit), strict=True):
            rows[i] = row
        found = [row for row in rows if row is not None]
        refuse_empty(found)
        return found

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> BoolArray:
        """Whether every token of the spans is still there after truncation, shape (n_texts,)."""
        self._compare_once(texts)
        kept = [
            self._words.fits(text, ranges) if self._words else None for text, ranges in zip(texts, spans, strict=True)
        ]
        left = [i for i, fits in enumerate(kept) if fits is None]
        _, whole = tokens_of_spans(self._tokenizer, [texts[i] for i in left], [spans[i] for i in left], self._limit)
        out = np.array([bool(fits) for fits in kept], dtype=np.bool_)
        out[left] = whole
        return out

    def _compare_once(self, texts: Sequence[str]) -> None:
        """Leave all to the tokeniser if it reads the first texts otherwise: a subclass may do what it likes."""
        if self._words is None or self._compared or not texts:
            return
        self._compared = True
        for text, row in zip(texts[:COMPARED], tokenise(self._tokenizer, texts[:COMPARED], self._limit), strict=True):
            ours = self._words.features(text)
            if ours is not None and not _same(ours, row):
                logger.debug("clinsec: %s is not read word by word", type(self._tokenizer).__name__)
                self._words = None
                return


@dataclass(frozen=True)
class _Wordwise:
    """Words between special tokens.

    Attributes:
        cache: ids of the words.
        before, after: shape (n,) each, special tokens that stand around every text.
        zeros: further inputs, 0 for every token.
        room: tokens left for the words; None for any number.
        left: whether long texts lose their beginning.
    """

    cache: WordCache
    before: NDArray[np.int32]
    after: NDArray[np.int32]
    zeros: tuple[str, ...]
    room: int | None
    left: bool

    @classmethod
    def of(cls, tokenizer: Any, limit: int | None) -> _Wordwise | None:
        """For a tokeniser that reads word by word and puts the same around every text; else None."""
        if not cuts_at_blanks(tokenizer):
            return None
        word = "a"
        batch = dict(tokenizer(word, return_attention_mask=False, verbose=False))
        ids, bare = batch.pop("input_ids"), tokenizer.encode(word, add_special_tokens=False)
        at = next((i for i in range(len(ids)) if bare and ids[i : i + len(bare)] == bare), None)
        room = None if limit is None else limit - len(ids) + len(bare)
        if at is None or any(map(any, batch.values())) or (room is not None and room < 1):
            return None
        before, after = (np.array(part, dtype=np.int32) for part in (ids[:at], ids[at + len(bare) :]))
        return cls(WordCache(tokenizer), before, after, tuple(batch), room, tokenizer.truncation_side == "left")

    def features(self, text: str) -> Features | None:
        """Inputs of one text; None where only the tokeniser itself can tell."""
        body = self._ids(text)
        if body is None:
            return None
        if self.room is not None and len(body) > self.room:
            body = body[-self.room :] if self.left else body[: self.room]
        ids = np.concatenate([self.before, body, self.after]).astype(np.int64)
        return {"input_ids": ids, **{name: np.zeros_like(ids) for name in self.zeros}}

    def fits(self, text: str, spans: Sequence[Span]) -> bool | None:
        """Whether spans of whole words survive truncation; None where only the tokeniser itself can tell."""
        if self.left or not all(_is_apart(text, start, stop) for start, stop in spans):
            return None
        words = [self.cache.ids(text[start:stop]) for start, stop in spans]
        upto = [self._ids(text[:stop]) for _, stop in spans]
        if any(ids is None for ids in (*words, *upto)):
            return None
        there = bool(spans) and all(ids is not None and len(ids) for ids in words)
        return there and all(ids is not None and (self.room is None or len(ids) <= self.room) for ids in upto)

    def _ids(self, text: str) -> NDArray[np.int32] | None:
        """Ids of the text, or, where its end is cut off, of first words that fill the room and more."""
        if self.room is not None and not self.left and len(text) > (most := CHARACTERS_PER_TOKEN * self.room):
            ids = self.cache.ids(_whole_words(text[:most]))
            if ids is not None and len(ids) > self.room:
                return ids
        return self.cache.ids(text)


def _whole_words(text: str) -> str:
    """The text without its last word, which may have been cut in two, and the blanks before it."""
    return text[: max(text.rfind(blank) for blank in BLANKS) + 1].rstrip(BLANKS)


def _is_apart(text: str, start: int, stop: int) -> bool:
    """Whether a span is not empty, begins and ends with a character of a word, and has blanks or nothing around it."""
    inside = text[start:stop]
    around = (text[start - 1 : start] if start else "") + text[stop : stop + 1]
    return bool(inside) and all(c in BLANKS for c in around) and not any(c in BLANKS for c in inside[0] + inside[-1])


def _same(ours: Features, theirs: Features) -> bool:
    return set(ours) == set(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in ours)
