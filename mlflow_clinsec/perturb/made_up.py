"""Candidates for placebos that no note holds: ordinary words, syllables, strings, and characters of one script."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources
from string import ascii_lowercase, digits

import numpy as np

from mlflow_clinsec.perturb.characters import ARROW, INVISIBLE, Swap

_SYMBOLS = "≠≤≥±×÷√∞∑∏∂∇∀∃∅∩∪⊂⊃→←↑↓⇒⇔∧∨∼≅∝∠∫°§¶†‡•★☆♠♣♥♦■□▲△○●¤¦¬#%&*+=<>@^~|$"
_CONSONANTS, _VOWELS = "bcdfghklmnprstvwz", "aeiou"
_MOST = 1000
"""Most strings tried of one kind."""


def shape_of(word: str) -> str:
    """Make-up of a word, character by character: "a" for a letter, "0" for a digit, "." for anything else."""
    return "".join("a" if c.isalpha() else "0" if c.isdigit() else "." for c in word)


def words_like(word: str, rng: np.random.Generator) -> set[str]:
    """Candidates for a word that never occurs: ordinary words, syllables and strings of its own make-up."""
    shape = shape_of(word)
    alphabets = [{"a": ascii_lowercase, "0": digits, ".": _SYMBOLS}[kind] for kind in shape]
    made = set(_strings(alphabets, rng))
    if set(shape) == {"a"}:
        made |= set(ordinary_words())
        for syllables in range(1, 2 + len(word) // 2):
            made |= set(_strings([_CONSONANTS, _VOWELS] * syllables, rng))
    return made


def swaps_like(swap: Swap) -> list[str]:
    """Other letters of the same script and case for the same letter, nearest code point first."""
    own = ord(swap.replacement)
    near = sorted(_alphabet(_script(swap.replacement)), key=lambda c: (abs(ord(c) - own), c))
    composed = bool(unicodedata.decomposition(swap.replacement))
    return [
        f"{swap.letter}{ARROW}{c}"
        for c in near
        if c not in (swap.letter, swap.replacement) and (composed or not unicodedata.decomposition(c))
    ]


def invisible_like(trigger: str, rng: np.random.Generator) -> list[str]:
    """Strings of as many other invisible characters, in random order."""
    alphabet = "".join(sorted(INVISIBLE.difference(trigger)))
    made = sorted(set(_strings([alphabet] * len(trigger), rng)))
    return [made[i] for i in rng.permutation(len(made))]


@cache
def ordinary_words() -> tuple[str, ...]:
    """Everyday English words without medical meaning, from the package's own list."""
    listed = resources.files("mlflow_clinsec.perturb") / "lexicon" / "placebo_words.txt"
    return tuple(listed.read_text(encoding="utf-8").split())


def cased_like(pattern: str, word: str) -> str:
    """The word in upper case, with a capital, or in lower case, as the pattern is."""
    if pattern.isupper() and len(pattern) > 1:
        return word.upper()
    return word.capitalize() if pattern[:1].isupper() else word.lower()


def _strings(alphabets: Sequence[str], rng: np.random.Generator) -> list[str]:
    """All strings with one character of each alphabet, or a random part of them when they are many."""
    if math.prod(len(alphabet) for alphabet in alphabets) <= _MOST:
        return ["".join(characters) for characters in itertools.product(*alphabets)]
    columns = [[alphabet[i] for i in rng.integers(len(alphabet), size=_MOST)] for alphabet in alphabets]
    return ["".join(row) for row in zip(*columns, strict=True)]


def _script(character: str) -> str:
    """Script and case, as in "CYRILLIC SMALL": the first two words of the character's Unicode name."""
    return " ".join(unicodedata.name(character, "").split()[:2])


@cache
def _alphabet(script: str) -> tuple[str, ...]:
    """All letters of a script and case in the Basic Multilingual Plane."""
    return tuple(c for c in map(chr, range(0x80, 0x10000)) if c.isalpha() and _script(c) == script)
