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


def template_words(texts: Iterable[str], patients: IntArray, size: int, others: int) -> list[BoolArray]:
    """The words of each text inside an n-gram that other patients' texts hold too: boilerplate, not one's own facts.

    N-grams are numbered word by word, so that long corpora need a few whole numbers per word and no hash collides.

    Args:
        texts: n texts.
        patients: shape (n,), patient codes.
        size: words in an n-gram.
        others: a patient's words are template when at least so many other patients have them too.

    Returns:
        n arrays of shape (n_words,).
    """
    codes: dict[str, int] = {}
    rows = [np.array([codes.setdefault(w, len(codes)) for w in words_of(text)], dtype=np.int64) for text in texts]
    lengths = np.array([row.size for row in rows], dtype=np.int64)
    flat, ends = np.concatenate([*rows, np.zeros(0, dtype=np.int64)]), np.cumsum(lengths)
    starts = np.flatnonzero(np.arange(flat.size) + size <= np.repeat(ends, lengths))
    ids = flat[starts]
    for step in range(1, size):
        ids = np.unique(ids * len(codes) + flat[starts + step], return_inverse=True)[1]
    people = np.unique(patients, return_inverse=True)[1]
    held = np.unique(ids * len(patients) + np.repeat(people, lengths)[starts])  # once for each n-gram and patient
    shared = starts[np.bincount(held // max(len(patients), 1))[ids] > others]
    opened = np.bincount(shared, minlength=flat.size + 1) - np.bincount(shared + size, minlength=flat.size + 1)
    return np.split(np.cumsum(opened)[:-1] > 0, ends[:-1])


def ngrams(words: Sequence[str], size: int) -> list[Ngram]:
    """All n-grams of a list of words, in order."""
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def inside_ngrams(words: Sequence[str], known: frozenset[Ngram], size: int) -> BoolArray:
    """The words that lie inside one of the n-grams, shape (n_words,)."""
    found = np.zeros(len(words), dtype=np.bool_)
    for i, ngram in enumerate(ngrams(words, size)):
        if ngram in known:
            found[i : i + size] = True
    return found
