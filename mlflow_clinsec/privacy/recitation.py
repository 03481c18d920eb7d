"""How much of a text comes out word for word, and which of its words belong to one patient alone.

A word is a run of letters, digits and underscores, compared with its case; punctuation and white space are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Ngram = tuple[str, ...]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Recited:
    """What a continuation repeats of a text.

    Attributes:
        verbatim: shape (n_words,), words of the text inside a verbatim run.
        longest: most marked words (patient-specific ones) inside one verbatim run.
    """

    verbatim: BoolArray
    longest: int


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text)


def split_words(text: str, n_first: int) -> tuple[str, list[str]]:
    """The text up to the end of its ``n_first``-th word, and the words after it."""
    places = [match.span() for match in _WORD.finditer(text)]
    end = places[n_first - 1][1] if n_first else 0
    return text[:end], [text[start:stop] for start, stop in places[n_first:]]


def recite(truth: Sequence[str], marked: BoolArray, continuation: Sequence[str], least: int) -> Recited:
    """Find the runs of at least ``least`` words that stand in both texts in the same order, without a gap.

    Args:
        truth: the text's words.
        marked: shape (n_words,), the words that ``longest`` counts.
        continuation: the words that the model wrote.
        least: words that make a run; fewer in common are chance.
    """
    codes = {word: code for code, word in enumerate(dict.fromkeys(continuation))}
    written = np.array([codes[word] for word in continuation], dtype=np.int64)
    verbatim, longest = np.zeros(len(truth), dtype=np.bool_), 0
    run = np.zeros(written.size + 1, dtype=np.int64)  # run[j + 1]: words in common that end here and at word j
    inside = np.zeros(written.size + 1, dtype=np.int64)  # the marked ones among them
    for i, word in enumerate(truth):
        same = written == codes.get(word, -1)
        run[1:], inside[1:] = np.where(same, run[:-1] + 1, 0), np.where(same, inside[:-1] + marked[i], 0)
        reach = int(run.max())
        if reach >= least:
            verbatim[i + 1 - reach : i + 1] = True
            longest = max(longest, int(inside[run >= least].max()))
    return Recited(verbatim, longest)


def shared_ngrams(texts: Iterable[Sequence[str]], patients: Sequence[int], size: int, others: int) -> frozenset[Ngram]:
    """The n-grams that stand in texts of more than ``others`` patients: boilerplate, not one patient's facts.

    Args:
        texts: n lists of words.
        patients: n patient codes.
        size: words in an n-gram.
        others: a patient's own words are template when at least so many other patients have them too.
    """
    holders: dict[Ngram, set[int]] = {}
    for words, patient in zip(texts, patients, strict=True):
        for ngram in ngrams(words, size):
            held = holders.setdefault(ngram, set())
            if len(held) <= others:
                held.add(patient)
    return frozenset(ngram for ngram, held in holders.items() if len(held) > others)


def ngrams(words: Sequence[str], size: int) -> list[Ngram]:
    """All n-grams of a list of words, in order."""
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def inside_ngrams(words: Sequence[str], known: frozenset[Ngram], size: int) -> BoolArray:
    """The words that lie inside a known n-gram, shape (n_words,)."""
    found = np.zeros(len(words), dtype=np.bool_)
    for i, ngram in enumerate(ngrams(words, size)):
        if ngram in known:
            found[i : i + size] = True
    return found
