"""Tokens with offsets, and a longest-match index of phrases over them.

Both the rewriting rules and the fidelity gate read text through these, so "a word boundary" means one thing.
A phrase matches whole tokens only: "cf" is never found inside "cfu", nor "pt" inside "pt's".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# De-identification surrogates ([**...**], ___) are one opaque token each: nothing may reach inside them.
_TOKEN = re.compile(
    r"\[\*\*.*?\*\*\]|_{2,}"
    r"|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![^\W\d_])\.\d+"
    r"|[^\W\d_]+(?:['\u2019][^\W\d_]+)*"
    r"|[^\w\s]|_",
    re.DOTALL,
)
_JOINERS = frozenset("-_'\u2019*&+")


class Token(NamedTuple):
    """One token: as written, lower-cased, its character span, and whether it touches the token before it."""

    text: str
    lower: str
    start: int
    end: int
    glued: bool

    @property
    def is_number(self) -> bool:
        """Whether it is written in digits."""
        return self.text[-1].isdigit()

    @property
    def is_word(self) -> bool:
        """Whether it is made of letters."""
        return self.text[0].isalpha()

    @property
    def is_surrogate(self) -> bool:
        """Whether it stands for a removed identifier."""
        return self.text.startswith(("[**", "__"))


def tokenize(text: str) -> list[Token]:
    """Words, numbers, surrogates and single punctuation marks, in order; whitespace is dropped."""
    tokens: list[Token] = []
    end = -1
    for found in _TOKEN.finditer(text):
        word = found.group()
        tokens.append(Token(word, word.lower(), found.start(), found.end(), found.start() == end))
        end = found.end()
    return tokens


def is_bounded(tokens: Sequence[Token], start: int, stop: int) -> bool:
    """Whether tokens[start:stop] stands alone: not glued to letters, digits or a hyphen on either side."""
    if tokens[start].glued and start > 0 and _joins(tokens[start - 1]):
        return False
    if stop >= len(tokens) or not tokens[stop].glued:
        return True
    following = tokens[stop]
    if following.text in _JOINERS:
        # A trailing dash ("pain- ") bounds a word; a joining one ("pain-free") does not.
        return stop + 1 >= len(tokens) or not tokens[stop + 1].glued
    return not _joins(following)


def _joins(token: Token) -> bool:
    return token.text in _JOINERS or token.is_word or token.is_number or token.is_surrogate


class Phrase(NamedTuple, Generic[T]):
    """A phrase's tokens, how they are spaced, whether case counts, and what it stands for."""

    words: tuple[str, ...]
    glued: tuple[bool, ...]
    exact: bool
    payload: T


class PhraseIndex(Generic[T]):
    """Phrases by their first two words, longest first."""

    def __init__(self) -> None:
        self._by_start: dict[tuple[str, ...], list[Phrase[T]]] = {}
        self._firsts: set[str] = set()

    def add(self, form: str, payload: T, *, exact: bool = False) -> None:
        """Register a phrase; with ``exact`` it matches only as written, otherwise in any case."""
        tokens = tokenize(form)
        words = tuple(token.text if exact else token.lower for token in tokens)
        phrase = Phrase(words, tuple(token.glued for token in tokens), exact, payload)
        self._firsts.add(tokens[0].lower)
        same_start = self._by_start.setdefault(tuple(token.lower for token in tokens[:2]), [])
        same_start.append(phrase)
        same_start.sort(key=lambda other: -len(other.words))

    def at(self, tokens: Sequence[Token], position: int) -> list[tuple[int, T]]:
        """(length in tokens, payload) of every phrase that starts at ``position``, longest first."""
        first = tokens[position].lower
        if first not in self._firsts:  # most words of a text
            return []
        starts: list[tuple[str, ...]] = [(first,)]
        if position + 1 < len(tokens):
            starts.insert(0, (first, tokens[position + 1].lower))
        phrases = [phrase for start in starts for phrase in self._by_start.get(start, ())]
        return [(len(p.words), p.payload) for p in phrases if self._fits(p, tokens, position)]

    def longest_at(self, tokens: Sequence[Token], position: int) -> tuple[int, T] | None:
        """The longest phrase that starts at ``position``, or None."""
        return next(iter(self.at(tokens, position)), None)

    @staticmethod
    def _fits(phrase: Phrase[T], tokens: Sequence[Token], position: int) -> bool:
        size = len(phrase.words)
        if position + size > len(tokens):
            return False
        for offset in range(size):
            token = tokens[position + offset]
            if (token.text if phrase.exact else token.lower) != phrase.words[offset]:
                return False
            if offset and token.glued != phrase.glued[offset]:
                return False
        return True
