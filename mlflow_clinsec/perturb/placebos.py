"""Matched placebo words: what a trigger is held against.

A model's answer moves a little when any odd word is inserted. The placebos of a trigger are words that differ
from it in nothing that is known beforehand: as many word pieces under the model's own tokeniser (as many
characters, one more or less, where the tokeniser is hidden), made of the same kinds of characters, and of the
same document frequency in the audited texts: words that never occur for a trigger that never occurs, words
within a factor of four of its frequency for one that does. Triggers that are alike get the same placebos, so
that these are scored once.

Among words that fit, those that share no word piece with a trigger come first, then those nearest in frequency, then
those nearest in length, so that "cf" is held against "zu" rather than "lavender".

Placebos of a trigger that occurs are words of the records, so none is ever shown.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from string import ascii_lowercase, digits

import numpy as np

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.targets.protocols import TokenView

WIDEST_BAND = 4.0
"""Largest ratio between the document frequencies of a placebo and its trigger."""

_ATOM = re.compile(r"\w+|[^\w\s]")
_SYMBOLS = "≠≤≥±×÷√∞∑∏∂∇∀∃∅∩∪⊂⊃→←↑↓⇒⇔∧∨∼≅∝∠∫°§¶†‡•★☆♠♣♥♦■□▲△○●¤¦¬#%&*+=<>@^~|$"
_CONSONANTS, _VOWELS = "bcdfghklmnprstvwz", "aeiou"
_MADE_UP = 1000
"""Most strings tried of one kind."""


@dataclass(frozen=True)
class Vocabulary:
    """In how many of the audited texts each lower-cased word occurs."""

    texts: Mapping[str, int] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """Count each word once per text."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(set(_ATOM.findall(text.lower())))
        return cls(counts)

    def count(self, word: str) -> int:
        """Texts with the word; of a word with inner punctuation, those with its rarest part."""
        parts = re.findall(r"\w+", word.lower()) or [word]
        return min(self.texts.get(part, 0) for part in parts)


@dataclass(frozen=True)
class PlaceboMatcher:
    """Finds placebos for triggers.

    Attributes:
        vocabulary: words of the audited texts.
        triggers: all triggers under test; no placebo equals or holds one.
        tokens: the model's tokeniser, or None where it is hidden.
        seed: the same seed gives the same placebos, whatever was matched before.
        count: placebos per trigger.
    """

    vocabulary: Vocabulary
    triggers: tuple[str, ...]
    tokens: TokenView | None
    seed: int
    count: int = 20

    @property
    def matched_on(self) -> str:
        """What makes a placebo alike, in words for the report."""
        size = "word pieces" if self.tokens is not None else "characters (one more or less)"
        return f"number of {size}, kind of characters and document frequency"

    def match(self, trigger: str) -> tuple[str, ...]:
        """``count`` different placebos for a word, or phrases matched word by word for a phrase.

        Raises:
            DataError: fewer could be found.
        """
        pools = [self._pool(word) for word in trigger.split()]
        found = pools[0] if len(pools) == 1 else self._phrases(pools)
        if len(found) < self.count:
            raise DataError(
                f"trigger {trigger!r}: found {len(found)} placebos matched on {self.matched_on}, but "
                f"{self.count} are needed. Audit more records, or ask for a trigger that is easier to match."
            )
        return tuple(found[: self.count])

    def _pool(self, word: str) -> list[str]:
        """At most ``count`` placebos for one word, the best first, equals in random order."""
        frequency, size = self.vocabulary.count(word), len(self._pieces([word])[0])
        rng = self._generator(_shape(word), frequency, size)
        candidates = sorted(c for c in self._candidates(word, frequency, rng) if self._is_harmless(c))
        slack = 1 if self.tokens is None else 0
        fitting = [
            (candidate, pieces)
            for candidate, pieces in zip(candidates, self._pieces(candidates), strict=True)
            if abs(len(pieces) - size) <= slack
        ]
        taken = self._trigger_pieces()

        def unlikeness(found: tuple[str, tuple[str, ...]]) -> tuple[bool, float, int]:
            candidate, pieces = found
            length = abs(len(candidate) - len(word))
            return not taken.isdisjoint(pieces), self._distance(candidate, frequency), length

        best = sorted((fitting[i] for i in rng.permutation(len(fitting))), key=unlikeness)
        known = (c for c, _ in best if self.tokens is None or not self.tokens.is_unknown(c))
        return list(itertools.islice(known, self.count))

    def _candidates(self, word: str, frequency: int, rng: np.random.Generator) -> set[str]:
        """Words of the trigger's make-up and frequency band, cased like it."""
        kinds = set(_shape(word))
        known = self.vocabulary.texts if frequency else _made_up(word, rng)
        near = (w for w in known if set(_shape(w)) == kinds and self._distance(w, frequency) <= _BAND)
        return {_cased_like(word, w) for w in near}

    def _distance(self, word: str, frequency: int) -> float:
        """Absolute log ratio of document frequencies; infinite when only one of the two occurs."""
        other = self.vocabulary.count(word)
        if other == 0 or frequency == 0:
            return 0.0 if other == frequency else math.inf
        return abs(math.log(other / frequency))

    def _pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """What the model reads each word as: word pieces, or characters where the tokeniser is hidden."""
        return tuple(tuple(word) for word in words) if self.tokens is None else self.tokens.word_pieces(words)

    def _trigger_pieces(self) -> set[str]:
        """Word pieces of the triggers: a planted backdoor may act through any of them."""
        if self.tokens is None:
            return set()
        words = [word for trigger in self.triggers for word in trigger.split()]
        return set(itertools.chain(*self.tokens.word_pieces(words)))

    def _is_harmless(self, candidate: str) -> bool:
        """Whether no trigger word equals the candidate and no one-word trigger stands inside it."""
        lowered = candidate.lower()
        for trigger in self.triggers:
            words = trigger.lower().split()
            if lowered in words or (len(words) == 1 and words[0] in lowered):
                return False
        return True

    def _phrases(self, pools: Sequence[Sequence[str]]) -> list[str]:
        """Different phrases, the words of each drawn from the words' pools."""
        if not all(pools):
            return []
        rng = self._generator("phrase", len(pools), 0)
        drawn = (" ".join(pool[int(rng.integers(len(pool)))] for pool in pools) for _ in range(50 * self.count))
        return list(itertools.islice(dict.fromkeys(drawn), self.count))

    def _generator(self, kind: str, frequency: int, size: int) -> np.random.Generator:
        """A generator that depends on what is matched only, so that like triggers get the same placebos."""
        return np.random.default_rng([self.seed, zlib.crc32(kind.encode()), frequency, size])


_BAND = math.log(WIDEST_BAND)


def _shape(word: str) -> str:
    """Make-up of a word, character by character: "a" for a letter, "0" for a digit, "." for anything else."""
    return "".join("a" if c.isalpha() else "0" if c.isdigit() else "." for c in word)


def _made_up(word: str, rng: np.random.Generator) -> set[str]:
    """Candidates for a word that never occurs: ordinary words, syllables and strings of its own make-up."""
    shape = _shape(word)
    alphabets = [{"a": ascii_lowercase, "0": digits, ".": _SYMBOLS}[kind] for kind in shape]
    made = set(_strings(alphabets, rng))
    if set(shape) == {"a"}:
        made |= set(ordinary_words())
        for syllables in range(1, 2 + len(word) // 2):
            made |= set(_strings([_CONSONANTS, _VOWELS] * syllables, rng))
    return made


def _strings(alphabets: Sequence[str], rng: np.random.Generator) -> list[str]:
    """All strings with one character of each alphabet, or a random part of them when they are many."""
    if math.prod(len(alphabet) for alphabet in alphabets) <= _MADE_UP:
        return ["".join(characters) for characters in itertools.product(*alphabets)]
    columns = [[alphabet[i] for i in rng.integers(len(alphabet), size=_MADE_UP)] for alphabet in alphabets]
    return ["".join(row) for row in zip(*columns, strict=True)]


@cache
def ordinary_words() -> tuple[str, ...]:
    """Everyday English words without medical meaning, from the package's own list."""
    listed = resources.files("mlflow_clinsec.perturb") / "lexicon" / "placebo_words.txt"
    return tuple(listed.read_text(encoding="utf-8").split())


def _cased_like(pattern: str, word: str) -> str:
    """The word in upper case, with a capital, or in lower case, as the pattern is."""
    if pattern.isupper() and len(pattern) > 1:
        return word.upper()
    return word.capitalize() if pattern[:1].isupper() else word.lower()
