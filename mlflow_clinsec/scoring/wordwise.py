"""Tokenising text after text that differs by a word: each distinct word is tokenised once.

A trigger sweep reads a record dozens of times with one word changed, and for a small model the tokeniser then takes
as long as the model. Most tokenisers cut a text at its blanks before anything else, so that the pieces of a word do
not depend on its neighbours; :class:`WordCache` remembers them by word, blanks before it included. Tokenisers that do
otherwise (SentencePiece without cutting at blanks, patterns that read across a line break) are left to do it all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_CHUNK = re.compile(r"[ \t\n\r]+[^ \t\n\r]*|[^ \t\n\r]+")
"""A word with the blanks before it; blanks at the end of a text stand alone."""
_OTHER_BLANK = re.compile(r"[^\S \t\n\r]")
_ANCHOR = "a"
"""Stands before a word that is tokenised away from its text, since a text's first word may be read otherwise."""
_MOST_WORDS = 500_000
"""Words remembered at once; then all are forgotten."""

_CUTTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "ByteLevel"}
_LOCAL_NORMALIZERS = {"BertNormalizer", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD"}


class WordCache:
    """Token ids of texts without special tokens, put together from those of their words.

    Args:
        tokenizer: one for which :func:`cuts_at_blanks` is true.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = re.compile("|".join(re.escape(t.content) for t in _added_tokens(tokenizer)) or r"(?!)")
        self._anchor = len(self._tokenise([_ANCHOR])[0])
        self._first: dict[str, bytes | None] = {}
        self._inner: dict[str, bytes | None] = {}

    def ids(self, text: str) -> NDArray[np.int32] | None:
        """The text's ids, shape (n_tokens,); None where only the tokeniser itself can tell, because the text holds a
        special token or a blank of an odd kind."""
        chunks = _CHUNK.findall(text)
        if not chunks:
            return np.empty(0, dtype=np.int32)
        try:
            parts = [self._first[chunks[0]], *map(self._inner.__getitem__, chunks[1:])]
        except KeyError:
            self._learn(chunks)
            return self.ids(text)
        try:
            return np.frombuffer(b"".join(cast("list[bytes]", parts)), dtype=np.int32)
        except TypeError:  # a word of which no ids are kept
            return None

    def _learn(self, chunks: Sequence[str]) -> None:
        if len(self._inner) + len(self._first) > _MOST_WORDS:
            self._first.clear()
            self._inner.clear()
        if chunks[0] not in self._first:
            self._first[chunks[0]] = self._known(chunks[0], self._tokenise([chunks[0]])[0])
        new = [chunk for chunk in dict.fromkeys(chunks[1:]) if chunk not in self._inner]
        found = self._tokenise([_ANCHOR + chunk for chunk in new])
        self._inner.update({c: self._known(c, ids[self._anchor :]) for c, ids in zip(new, found, strict=True)})

    def _known(self, chunk: str, ids: Sequence[int]) -> bytes | None:
        if self._special.search(chunk) or _OTHER_BLANK.search(chunk):
            return None
        return np.asarray(ids, dtype=np.int32).tobytes()

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        return list(self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])


def cuts_at_blanks(tokenizer: Any) -> bool:
    """Whether a tokeniser reads each word by itself, as far as its parts tell: see the module's docstring."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or getattr(backend.model, "dropout", None):
        return False
    cutter, normalizer = _state(backend.pre_tokenizer), _state(backend.normalizer)
    parts = normalizer.get("normalizers", [normalizer] if normalizer else [])
    return (
        cutter.get("type") in _CUTTERS
        and cutter.get("use_regex", True)
        and all(part["type"] in _LOCAL_NORMALIZERS for part in parts)
        and all(_stays_inside_a_word(token, bool(parts)) for token in _added_tokens(tokenizer))
    )


def _stays_inside_a_word(token: Any, normalized: bool) -> bool:
    """Whether an added token is found, or not found, in one word alone, by its own letters."""
    found_as_it_is = token.special and not (token.normalized and normalized)
    return found_as_it_is and not token.rstrip and not re.search(r"\s", token.content)


def _added_tokens(tokenizer: Any) -> list[Any]:
    return list(tokenizer.backend_tokenizer.get_added_tokens_decoder().values())


def _state(part: Any) -> dict[str, Any]:
    return {} if part is None else dict(json.loads(part.__getstate__()))
