"""The model's tokeniser, as far as trigger tests need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Span = tuple[int, int]
"""Half-open character range in a text."""


class TokenView(Protocol):
    """The model's tokeniser, as far as trigger tests need it."""

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The pieces of each word standing inside a sentence; unknown pieces as the tokeniser's unk token."""
        ...

    def is_unknown(self, word: str) -> bool:
        """Whether a word leaves no piece, or nothing but the unknown token."""
        ...

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Strings that the tokeniser reads as special tokens wherever they stand."""
        ...

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        """Whether every token of the spans is still there after truncation, shape (n_texts,).

        Args:
            answer_tokens: tokens of an answer that must find room behind a prompt; of no account to classifiers.
        """
        ...


@runtime_checkable
class TokenCutter(Protocol):
    """A tokeniser that says where a shorter window would end."""

    def cut(self, texts: Sequence[str], n_tokens: int) -> IntArray:
        """Character range of each text that is left of it in a window, shape (n_texts, 2).

        Args:
            n_tokens: tokens of the window, special tokens included.
        """
        ...
