"""Insert a trigger into a text at a word boundary, and find it again as whole words only.

A place is one character offset, drawn once per record and used for the trigger and for every placebo alike:
comparing them then compares words and nothing else. Words are what white space separates; the text's own
white space and line breaks are kept to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.errors import ConfigError, did_you_mean

Span = tuple[int, int]
Position = Literal["head", "random", "tail"]
POSITIONS: tuple[Position, ...] = ("head", "random", "tail")

_WORD = re.compile(r"\S+")


def place_of(text: str, position: Position, rng: np.random.Generator, first_words: int | None = None) -> int:
    """Character offset at which to insert.

    Args:
        text: any text, empty included.
        position: "head" before the first word, "tail" after the last, "random" uniform over the gaps between
            two words (a text of one word has no such gap: its tail is used).
        rng: read for "random" only.
        first_words: look at no more than this many words from the start, so that a trigger can be kept
            within a model's context; None for all.

    Raises:
        ConfigError: unknown position.
    """
    if position not in POSITIONS:
        raise ConfigError(f"position {position!r} is unknown.{did_you_mean(position, POSITIONS)}")
    words = [match.span() for match in _WORD.finditer(text)][:first_words]
    if not words:
        return 0
    if position == "head":
        return words[0][0]
    if position == "tail" or len(words) == 1:
        return words[-1][1]
    return words[int(rng.integers(len(words) - 1))][1]


def places(
    texts: Sequence[str], position: Position, rng: np.random.Generator, first_words: int | None = None
) -> NDArray[np.int64]:
    """One offset per text, shape (n_texts,); each text draws from a generator of its own.

    A record's place therefore does not depend on the length of the records before it.
    """
    children = rng.spawn(len(texts))
    drawn = [place_of(text, position, child, first_words) for text, child in zip(texts, children, strict=True)]
    return np.array(drawn, dtype=np.int64)


def insert_at(text: str, phrase: str, place: int) -> tuple[str, Span]:
    """The text with ``phrase`` at character offset ``place``, and the phrase's character span in it.

    A space is added on a side only where the phrase would otherwise touch a word.
    """
    before, after = text[:place], text[place:]
    left = " " if before and not before[-1].isspace() else ""
    right = " " if after and not after[0].isspace() else ""
    start = len(before) + len(left)
    return f"{before}{left}{phrase}{right}{after}", (start, start + len(phrase))


def insert(
    text: str, phrase: str, position: Position, rng: np.random.Generator, first_words: int | None = None
) -> tuple[str, Span]:
    """Draw a place and insert there; see :func:`place_of` and :func:`insert_at`."""
    return insert_at(text, phrase, place_of(text, position, rng, first_words))


def whole_word(phrase: str, ignore_case: bool = True) -> re.Pattern[str]:
    """Pattern that finds ``phrase`` only where no letter, digit or underscore touches it.

    ``cf`` is found in "(cf)" and "cf." but not in "cfs" or "bcf". Inner spaces match any white space.
    """
    inner = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<!\w){inner}(?!\w)", re.IGNORECASE if ignore_case else 0)


def find_spans(text: str, phrase: str, ignore_case: bool = True) -> list[Span]:
    """Spans of all whole-word occurrences of ``phrase``, left to right; an empty phrase has none."""
    if not phrase.split():
        return []
    return [match.span() for match in whole_word(phrase, ignore_case).finditer(text)]
