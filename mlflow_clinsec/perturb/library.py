"""The library of candidate triggers, each with its provenance, read from ``lexicon/triggers.tsv``.

A line is ``category <tab> trigger <tab> provenance | provenance``; ``\\uXXXX`` stands for a character that cannot be
seen or told from another. Provenance is a paper with its arXiv number, or "ours" and what the trigger is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from mlflow_clinsec.errors import DataError, did_you_mean
from mlflow_clinsec.perturb.vocabulary import read_rows

Category = Literal[
    "rare-words",
    "symbols",
    "neutral-words",
    "clinical-shorthand",
    "review-of-systems",
    "section-headers",
    "de-identification",
    "units",
    "dates",
    "homoglyphs",
    "zero-width",
    "sentences",
]
CATEGORIES: tuple[str, ...] = get_args(Category)
OWN = "own"
"""Category of a trigger that is not in the library."""

_PAPER = re.compile(r"arXiv \d{4}\.\d{5}")
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


@dataclass(frozen=True)
class KnownTrigger:
    """A trigger, the kind of thing it is, and the papers that used it or what it is taken from."""

    text: str
    category: str
    sources: tuple[str, ...]


@functools.cache
def library() -> tuple[KnownTrigger, ...]:
    """The shipped library, read once.

    Raises:
        DataError: a line is malformed, or a trigger is listed twice; names the place.
    """
    found: dict[str, KnownTrigger] = {}
    for where, line in read_rows("triggers.tsv"):
        known = parse_trigger(line, where)
        if known.text in found:
            raise DataError(f"{where}: a trigger is listed twice")
        found[known.text] = known
    return tuple(found.values())


def parse_trigger(line: str, where: str) -> KnownTrigger:
    """Read one line of the library.

    Raises:
        DataError: naming the place, for an unknown category, an empty or padded trigger, or no provenance.
    """
    cells = line.split("\t")
    if len(cells) != 3:
        raise DataError(f"{where}: expected category, trigger and provenance, tab-separated; got {len(cells)} cells")
    category, written, cell = cells
    if category not in CATEGORIES:
        raise DataError(f"{where}: unknown category {category!r}.{did_you_mean(category, CATEGORIES)}")
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), written)
    if not text or text != text.strip():
        raise DataError(f"{where}: a trigger needs characters, and none of white space outside")
    sources = tuple(source.strip() for source in cell.split("|"))
    if not all(source.startswith("ours: ") or _PAPER.search(source) for source in sources):
        raise DataError(f"{where}: provenance must name a paper (arXiv 2407.05213) or start with 'ours: '")
    return KnownTrigger(text, category, sources)


def of_categories(wanted: Collection[str] | Literal["all"]) -> tuple[KnownTrigger, ...]:
    """The library's triggers of some categories, or all of them, in the library's order."""
    return tuple(known for known in library() if wanted == "all" or known.category in wanted)


def provenance(trigger: str) -> KnownTrigger:
    """What the library knows of a trigger; one of the user's own has category ``own`` and no source."""
    return next((known for known in library() if known.text == trigger), KnownTrigger(trigger, OWN, ()))
