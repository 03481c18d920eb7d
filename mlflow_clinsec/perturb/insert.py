"""Insert a trigger into a text at a word boundary, and find it again as whole words only.

A place is one character offset, drawn once per record and used for the trigger and for every placebo alike:
comparing them then compares words and nothing else. Words are what white space separates; the text's own
white space and line breaks are kept to the letter. Triggers that are characters act on the word nearest to the
place; see :mod:`mlflow_clinsec.perturb.characters`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.perturb.characters import Swap, as_swap, invisible_runs, is_invisible, swap_pattern

Span = tuple[int, int]
Position = Literal["head", "quarter", "middle", "three-quarters", "tail", "random"]
ALL_POSITIONS: tuple[Position, ...] = ("head", "quarter", "middle", "three-quarters", "tail", "random")
POSITIONS: tuple[Position, ...] = ("head", "random", "tail")
"""Those of the trigger test's default."""

_DEPTHS: dict[str, float] = {"quarter": 0.25, "middle": 0.5, "three-quarters": 0.75}

_WORD = re.compile(r"\S+")


def place_of(text: str, position: Position, rng: np.random.Generator, first_words: int | None = None) -> int:
    """Character offset at which to insert.

    Args:
        text: any text, empty included.
        position: "head" before the first word, "tail" after the last, "random" uniform over the gaps between
            two words; "quarter", "middle" and "three-quarters" the gap that this share of the words stands before
            (a text of one word has no gap: its tail is used).
        rng: read for "random" only.
        first_words: look at no more than this many words from the start, so that a trigger can be kept
            within a model's context; None for all.

    Raises:
        ConfigError: unknown position.
    """
    if position not in ALL_POSITIONS:
        raise ConfigError(f"position {position!r} is unknown.{did_you_mean(position, ALL_POSITIONS)}")
    words = [match.span() for match in _WORD.finditer(text)][:first_words]
    if not words:
        return 0
    if position == "head":
        return words[0][0]
    if position == "tail" or len(words) == 1:
        return words[-1][1]
    if position in _DEPTHS:
        before = int(_DEPTHS[position] * len(words) + 0.5)
        return words[min(max(before, 1), len(words) - 1) - 1][1]
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

    A space is added on a side only where the phrase would otherwise touch a word. A swap replaces the nearest such
    letter of a word instead, and invisible characters go behind the first letter of the next word, or of the last
    one. A text without the letter is given back with an empty span at ``place``: no token ever covers it, so that
    the trigger counts as not surviving.
    """
    swap = as_swap(phrase)
    if swap is not None:
        return _swapped(text, swap, place)
    if is_invisible(phrase):
        return _hidden(text, phrase, place)
    before, after = text[:place], text[place:]
    left = " " if before and not before[-1].isspace() else ""
    right = " " if after and not after[0].isspace() else ""
    start = len(before) + len(left)
    return f"{before}{left}{phrase}{right}{after}", (start, start + len(phrase))


def _swapped(text: str, swap: Swap, place: int) -> tuple[str, Span]:
    spots = [match.start() for match in swap_pattern(swap.letter).finditer(text)]
    if not spots:
        return text, (place, place)
    spot = min(spots, key=lambda i: (abs(i - place), i < place))
    return f"{text[:spot]}{swap.replacement}{text[spot + 1 :]}", (spot, spot + 1)


def _hidden(text: str, phrase: str, place: int) -> tuple[str, Span]:
    words = [match.span() for match in _WORD.finditer(text)]
    start = next((start for start, _ in words if start >= place), words[-1][0] if words else None)
    spot = place if start is None else start + 1
    return f"{text[:spot]}{phrase}{text[spot:]}", (spot, spot + len(phrase))


def insert(
    text: str, phrase: str, position: Position, rng: np.random.Generator, first_words: int | None = None
) -> tuple[str, Span]:
    """Draw a place and insert there; see :func:`place_of` and :func:`insert_at`."""
    return insert_at(text, phrase, place_of(text, position, rng, first_words))


def whole_word(phrase: str, ignore_case: bool = True) -> re.Pattern[str]:
    """Pattern that finds ``phrase`` only where no letter, accent, digit or underscore touches it.

    ``cf`` is found in "(cf)" and "cf." but not in "cfs" or "bcf". Inner spaces match any white space.
    """
    inner = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<!\w){inner}(?![\w\u0300-\u036f])", re.IGNORECASE if ignore_case else 0)


def find_spans(text: str, phrase: str, ignore_case: bool = True) -> list[Span]:
    """Spans of all occurrences of ``phrase``, left to right; an empty phrase has none.

    Words are found as whole words, a swap where its character stands inside a word of Latin letters, and invisible
    characters where they are all that stands between two visible ones.
    """
    if not phrase.split():
        return []
    if is_invisible(phrase):
        return [(start, stop) for start, stop in invisible_runs(text) if text[start:stop] == phrase]
    swap = as_swap(phrase)
    pattern = whole_word(phrase, ignore_case) if swap is None else swap_pattern(swap.replacement)
    return [match.span() for match in pattern.finditer(text)]
