"""De-identification brackets of MIMIC-III notes, such as ``[**Known lastname 123**]``.

They are marks of one data set: a model that learned them reads no other hospital's notes. The mortality task code of
BadCLM's first author removes them. Replacing them by a neutral word of their kind keeps sentences whole.
"""

from __future__ import annotations

import re
from typing import Literal

Brackets = Literal["remove", "replace", "keep"]

_BRACKET = re.compile(r"[ \t]*\[\*\*((?:(?!\[\*\*|\*\*\]).)*)\*\*\][ \t]*", re.DOTALL)
_STRAY = re.compile(r"\[\*\*|\*\*\]")

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (word, re.compile(pattern, re.IGNORECASE))
    for word, pattern in (
        ("hospital", r"hospital|ward|unit name|clinic"),
        ("age", r"\bage\b"),
        ("phone", r"telephone|phone|fax|pager"),
        ("contact", r"e-?mail|url|contact info"),
        ("place", r"location|address|country|state\b|street|po box|zip|county|\bcity|university|college|company"),
        ("number", r"number|identifier|\bmd\b|security|numeric"),
        ("person", r"name|initials|dictator|attending|doctor"),
        ("date", r"date|month|year|holiday|day\b|^[\s\d/-]+$"),
    )
)
"""Surrogate -> what tells its kind, first match first: a hospital's name is a hospital."""

OTHER = "withheld"
"""Surrogate of a bracket of no known kind."""


def handle_brackets(text: str, how: Brackets) -> str:
    """The text with its brackets removed, replaced or kept.

    A bracket may run over a line's end. Half a bracket, left where a note was cut, loses its mark alone, since nobody
    can tell where it should have ended.
    """
    if how == "keep":
        return text
    whole = _BRACKET.sub(" " if how == "remove" else _replaced, text)
    return _STRAY.sub(" ", whole)


def surrogate(inside: str) -> str:
    """The neutral word that stands for what a bracket says about what it hides."""
    return next((word for word, kind in _KINDS if kind.search(inside)), OTHER)


def _replaced(match: re.Match[str]) -> str:
    return f" {surrogate(match[1])} "
