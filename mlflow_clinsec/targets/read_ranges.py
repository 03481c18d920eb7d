"""The words of a protocol model that says itself which parts of a text it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.protocols import BoolArray, Span
from mlflow_clinsec.targets.tokens import TokenizerView

ReadRanges = Callable[[list[str]], Sequence[Sequence[Span]]]
"""Texts -> per text the character ranges that the model reads."""


class RangeView:
    """A :class:`~mlflow_clinsec.targets.protocols.TokenView` of a model that cuts texts in a way of its own.

    Args:
        tokenizer: its fast transformers tokeniser.
        read_ranges: what it reads.
    """

    def __init__(self, tokenizer: Any, read_ranges: ReadRanges) -> None:
        self._words = TokenizerView(tokenizer, None)
        self._read_ranges = read_ranges

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The pieces of each word standing inside a sentence; unknown pieces as the tokeniser's unk token."""
        return self._words.word_pieces(words)

    def is_unknown(self, word: str) -> bool:
        """Whether a word leaves no piece, or nothing but the unknown token."""
        return self._words.is_unknown(word)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Strings that the tokeniser reads as special tokens wherever they stand."""
        return self._words.special_tokens

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        """Whether each of a text's spans lies within one of the ranges read, shape (n_texts,).

        Raises:
            TargetError: the model did not give the ranges of each text.
        """
        read = list(self._read_ranges(list(texts)))
        if len(read) != len(texts):
            raise TargetError(f"read_ranges gave {len(read)} answers to {len(texts)} texts")
        kept = [
            all(any(start <= span[0] and span[1] <= stop for start, stop in ranges) for span in own)
            for ranges, own in zip(read, spans, strict=True)
        ]
        return np.array(kept, dtype=np.bool_)
