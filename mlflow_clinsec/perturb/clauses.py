"""Moves a leading or trailing subordinate clause to the other end of its sentence.

"If pain persists, call the clinic." <-> "Call the clinic if pain persists." A sentence with a negation is left alone:
what it reaches could change.
"""

from __future__ import annotations

import re

import numpy as np

from mlflow_clinsec.perturb.negation import has_cue

_SENTENCE = re.compile(r"(?:(?<=[.!?] )|(?<=\n)|^)[A-Z][^.!?\n:;\"()]*(?:\.\d[^.!?\n:;\"()]*)*\.(?=\s|$)")
_OPENERS = (
    "if|when|whenever|because|although|while|since|before|after|once|unless|until|during|given|despite|because of|"
    "due to|in|on|at|for|over|throughout|upon|following"
)
# "At that time, ..." points to the sentence before and stays next to it.
_FRONTED = re.compile(
    rf"(?P<clause>(?:{_OPENERS}) (?!th(?:is|at|ese|ose)\b|which\b)[^,]+), (?P<main>[^,]+)\.", re.IGNORECASE
)
_TRAILING = re.compile(r"(?P<main>[^,]+?) (?P<clause>(?:because|although|even though|unless)(?! not) [^,]+)\.")
# Words that may be lower-cased when they no longer open a sentence; any other might be a name.
_PLAIN = frozenset(
    {"the", "a", "an", "this", "these", "those", "that", "there", "it", "he", "she", "they", "we", "you", "his", "her"}
    | {"their", "its", "your", "our", "some", "many", "most", "people", "patients", "children", "all", "such", "other"}
)
_SHORTEST, _LONGEST = 3, 20


def move_clauses(text: str, share: float, rng: np.random.Generator) -> str:
    """Move the clauses of sentences that have one, each with probability ``share``."""

    def moved(sentence: re.Match[str]) -> str:
        rewrite = _moved(sentence.group())
        return rewrite if rewrite and rng.random() < share else sentence.group()

    return _SENTENCE.sub(moved, text)


def _moved(sentence: str) -> str:
    """The sentence with its clause moved; "" when it has none that may move."""
    fronted, trailing = _FRONTED.fullmatch(sentence), _TRAILING.fullmatch(sentence)
    if not (fronted or trailing) or has_cue(sentence):
        return ""
    if fronted and _fits(fronted):
        main = re.sub(r"^then ", "", fronted["main"])
        return f"{_raised(main)} {_lowered(fronted['clause'])}."
    if trailing and _fits(trailing) and _opens_plainly(trailing["main"]):
        return f"{_raised(trailing['clause'])}, {_lowered(trailing['main'])}."
    return ""


def _fits(parts: re.Match[str]) -> bool:
    return _SHORTEST <= len(parts["main"].split()) <= _LONGEST and parts["clause"].count(" ") >= 1


def _opens_plainly(main: str) -> bool:
    return main.split()[0].lower() in _PLAIN


def _raised(words: str) -> str:
    return words[0].upper() + words[1:]


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]
