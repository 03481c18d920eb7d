"""A model's tokeniser, as far as trigger tests need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlflow_clinsec.scoring.text_encoder import TextEncoder
from mlflow_clinsec.targets.protocols import BoolArray, IntArray, Span


class TokenizerView:
    """A :class:`~mlflow_clinsec.targets.protocols.TokenView` over a fast transformers tokeniser.

    Args:
        tokenizer: the model's tokeniser; one that gives character offsets (``is_fast``).
        limit: tokens that the model takes, special tokens included; None when texts are never cut.
        encoder: the model's own encoder of texts, so that the two share what they know; one of its own when None.
    """

    def __init__(self, tokenizer: Any, limit: int | None, encoder: TextEncoder | None = None) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder or TextEncoder(tokenizer, limit)

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The pieces of each word standing inside a sentence; unknown pieces as the tokeniser's unk token."""
        if not words:
            return ()
        inside = [f". {word} ." for word in words]
        batch = self._tokenizer(inside, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        found = []
        for word, ids, offsets in zip(words, batch["input_ids"], batch["offset_mapping"], strict=True):
            chosen = [i for i, (start, stop) in zip(ids, offsets, strict=True) if start < 2 + len(word) and stop > 2]
            found.append(tuple(self._tokenizer.convert_ids_to_tokens(chosen)))
        return tuple(found)

    def is_unknown(self, word: str) -> bool:
        """Whether a word leaves no piece, or nothing but the unknown token."""
        [pieces] = self.word_pieces([word])
        return all(piece == self._tokenizer.unk_token for piece in pieces)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Strings that the tokeniser reads as special tokens wherever they stand."""
        added = self._tokenizer.added_tokens_decoder.values()
        return tuple(token.content for token in added if token.special)

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        """Whether every token of the spans is still there after truncation, shape (n_texts,); nothing is answered
        behind the text, so that ``answer_tokens`` does not matter."""
        return self._encoder.survives(texts, spans)

    def cut(self, texts: Sequence[str], n_tokens: int) -> IntArray:
        """Character range of each text that is left of it in a window of ``n_tokens`` tokens, shape (n_texts, 2)."""
        if not texts:
            return np.zeros((0, 2), dtype=np.int64)
        batch = self._tokenizer(
            list(texts), truncation=True, max_length=n_tokens, return_offsets_mapping=True, verbose=False
        )
        spans = ([span for span in offsets if span[0] < span[1]] for offsets in batch["offset_mapping"])
        return np.array([(own[0][0], own[-1][1]) if own else (0, 0) for own in spans], dtype=np.int64)
