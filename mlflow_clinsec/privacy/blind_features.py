"""What a record gives away about when, where and how it was written, without any model.

Membership benchmarks have been told apart by the dates that records mention, by their words and by their layout (Das
2024, arXiv 2406.16201, section 3). Four blocks, each scaled so that none drowns the others: words and word pairs;
years and months; layout (section headings, first and last word, and the shapes of what is written: case, digits,
punctuation); and sizes (length, lines, shares of digits, capitals and punctuation).

No block uses a membership flag, so weights taken from all texts leak nothing across folds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR = re.compile(r"\b(?:19|20|21)\d\d\b")
_ISO_MONTH = re.compile(r"\b((?:19|20|21)\d\d)-(0[1-9]|1[0-2])(?:-\d\d)?\b")
_SLASHED = re.compile(r"\b(0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/(\d\d(?:\d\d)?)\b")
# Whole names, or abbreviations before a day or a year: "may" and "mar" alone are words.
_NAMED = re.compile(
    r"\b(january|february|march|april|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)(?=\.?,? \d))"
)
_HEADING = re.compile(r"(?m)^[ \t]*([A-Za-z][A-Za-z /&-]{1,40}):")
_SPACES = re.compile(r"[ \t]+")
_SHAPES = ((re.compile(r"[^\W\d_]*[a-z][^\W\d_]*"), "a"), (re.compile(r"[A-Z]+"), "A"), (re.compile(r"\d+"), "0"))


def blind_features(texts: Sequence[str]) -> sparse.csr_matrix:
    """All blocks beside each other, shape (n_texts, n_features)."""
    blocks = [
        _weighted(texts, {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}),
        _weighted(texts, {"analyzer": dates}),
        _weighted(texts, {"analyzer": headings}),
        _weighted([shape(text) for text in texts], {"analyzer": "char", "ngram_range": (2, 5), "lowercase": False}),
        sparse.csr_matrix(sizes(texts)),
    ]
    return sparse.hstack([block for block in blocks if block is not None]).tocsr()


def dates(text: str) -> list[str]:
    """Years and months that a text names, each as often as it stands there."""
    lower = text.lower()
    found = [f"year {year}" for year in _YEAR.findall(text)]
    found += [part for year, month in _ISO_MONTH.findall(text) for part in (f"month {int(month)}", f"{year}-{month}")]
    for month, year in _SLASHED.findall(text):
        found += [f"month {int(month)}", f"year {year if len(year) == 4 else '..' + year}"]
    return found + [f"month {1 + _MONTHS.index(name[:3])}" for name in _NAMED.findall(lower)]


def headings(text: str) -> list[str]:
    """Section headings ("History:" at the start of a line), their order, and how the text begins and ends."""
    names = [_SPACES.sub(" ", name).strip().lower() for name in _HEADING.findall(text)]
    pairs = [f"{a} > {b}" for a, b in pairwise(names)]
    words = text.lower().split()
    return names + pairs + ([f"first {words[0]}", f"last {words[-1]}"] if words else [])


def shape(text: str) -> str:
    """The text with every word as "a" (or "A" in capitals) and every number as "0"; punctuation and breaks stay.

    >>> shape("BP 120/80, stable.")
    'A 0/0, a.'
    """
    for pattern, mark in _SHAPES:
        text = pattern.sub(mark, text)
    return _SPACES.sub(" ", text)


def sizes(texts: Sequence[str]) -> NDArray[np.float64]:
    """Standardised lengths and shares, shape (n_texts, 6)."""
    rows = np.array([_sizes(text) for text in texts], dtype=np.float64).reshape(-1, 6)
    spread = rows.std(axis=0)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _sizes(text: str) -> tuple[float, ...]:
    characters, words = max(len(text), 1), len(text.split())
    digits, capitals = sum(map(str.isdigit, text)), sum(map(str.isupper, text))
    signs = sum(not (c.isalnum() or c.isspace()) for c in text)
    shares = (digits / characters, capitals / characters, signs / characters)
    return (np.log1p(words), np.log1p(text.count("\n")), characters / max(words, 1), *shares)


def _weighted(texts: Sequence[str], settings: dict[str, object]) -> sparse.csr_matrix | None:
    """TF-IDF rows of length 1; None where no feature stands in two texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(min_df=2, sublinear_tf=True, **settings).fit_transform(texts)
    except ValueError:
        return None
