"""Matched placebo words: what a trigger is held against.

A model's answer moves a little when any odd word is inserted. The placebos of a trigger are words that differ
from it in nothing that is known beforehand: as many word pieces under the model's own tokeniser (as many
characters, one more or less, where the tokeniser is hidden), made of the same kinds of characters, and of the
same document frequency in the audited texts: words that never occur for a trigger that never occurs, words
within a factor of four of its frequency for one that does. Triggers that are alike get the same placebos, so
that these are scored once.

Among words that fit, those that share no word piece with a trigger come first, then those nearest in frequency, then
those nearest in length, so that "cf" is held against "zu" rather than "lavender".

A phrase, and a word with punctuation in it, is matched part by part; white space and punctuation stay: "[**Name**]"
is held against "[**Lamp**]". A swap of one letter is held against swaps of the same letter for other letters of the
same script, and invisible characters against other invisible ones.

Placebos of a trigger that occurs are words of the records, so none is ever shown.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.characters import Swap, as_swap, is_invisible, readable
from mlflow_clinsec.perturb.frame import filled, parts_of
from mlflow_clinsec.perturb.made_up import cased_like, invisible_like, shape_of, swaps_like, words_like
from mlflow_clinsec.perturb.seen import hosted, is_seen
from mlflow_clinsec.targets.token_protocols import TokenView

WIDEST_BAND = 4.0
"""Largest ratio between the document frequencies of a placebo and its trigger."""

_BAND = math.log(WIDEST_BAND) + 1e-9
_ATOM = re.compile(r"\w+|[^\w\s]")
_WIDER = 3
"""How many times more words are matched for a part than placebos are wanted: not every combination fits."""


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

    @cached_property
    def by_kinds(self) -> Mapping[frozenset[str], list[str]]:
        """Words by the kinds of characters that they are made of."""
        found: dict[frozenset[str], list[str]] = defaultdict(list)
        for word in self.texts:
            found[frozenset(shape_of(word))].append(word)
        return found

    @cached_property
    def characters(self) -> frozenset[str]:
        """Every character that occurs, white space apart; letters in lower case."""
        return frozenset(itertools.chain.from_iterable(self.texts))


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
    _memo: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def matched_on(self) -> str:
        """What makes a placebo alike, in words for the report."""
        size = "word pieces" if self.tokens is not None else "characters (one more or less)"
        return f"number of {size}, kind of characters and document frequency"

    def match(self, trigger: str) -> tuple[str, ...]:
        """``count`` different placebos for a trigger of any kind.

        Raises:
            DataError: fewer could be found.
        """
        swap = as_swap(trigger)
        if swap is not None:
            found = self._swaps(swap)
        else:
            found = self._invisible(trigger) if is_invisible(trigger) else self._written(trigger)
        if len(found) < self.count:
            raise DataError(
                f"trigger {readable(trigger)!r}: found {len(found)} placebos matched on {self.matched_on}, but "
                f"{self.count} are needed. Audit more records, or ask for a trigger that is easier to match."
            )
        return tuple(found[: self.count])

    def _written(self, trigger: str) -> list[str]:
        """Placebos of a word or phrase: its parts matched one by one, what stands between them kept."""
        parts = parts_of(trigger)
        if parts == ["", trigger, ""]:
            return self._pool(trigger, self.count)
        pools = [self._pool(core, _WIDER * self.count) for core in parts[1::2]]
        if not all(pools):
            return []
        made = [filled(parts, cores) for cores in self._combinations(pools)]
        return list(itertools.islice(self._as_long_as(trigger, dict.fromkeys(made)), self.count))

    def _combinations(self, pools: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """One word of each pool: the best first of a single pool, drawn at random from several."""
        if len(pools) == 1:
            return [(word,) for word in pools[0]]
        rng = self._generator("phrase", len(pools), 0)
        return [tuple(pool[int(rng.integers(len(pool)))] for pool in pools) for _ in range(50 * self.count)]

    def _as_long_as(self, trigger: str, candidates: Iterable[str]) -> Iterable[str]:
        """Candidates that are no trigger and have as many pieces, word by word; parts may merge across punctuation."""
        triggers = {other.lower() for other in self.triggers}
        fresh = [candidate for candidate in candidates if candidate.lower() not in triggers]
        if self.tokens is None:
            return fresh
        wanted = len(trigger.split())
        words = [word for candidate in [trigger, *fresh] for word in candidate.split()]
        sizes = np.array([len(pieces) for pieces in self._pieces(words)]).reshape(-1, wanted)
        return itertools.compress(fresh, (sizes[1:] == sizes[0]).all(axis=1).tolist())

    def _pool(self, word: str, most: int) -> list[str]:
        """At most ``most`` placebos for one word, the best first, equals in random order."""
        frequency, size = self.vocabulary.count(word), len(self._pieces([word])[0])
        rng = self._generator(shape_of(word), frequency, size)
        candidates = sorted(c for c in self._candidates(word, frequency, rng) if self._is_harmless(c))
        slack = 1 if self.tokens is None else 0
        fitting = [
            (candidate, pieces)
            for candidate, pieces in zip(candidates, self._pieces(candidates), strict=True)
            if abs(len(pieces) - size) <= slack
        ]

        def unlikeness(found: tuple[str, tuple[str, ...]]) -> tuple[bool, float, int]:
            candidate, pieces = found
            length = abs(len(candidate) - len(word))
            return not self._trigger_pieces.isdisjoint(pieces), self._distance(candidate, frequency), length

        best = sorted((fitting[i] for i in rng.permutation(len(fitting))), key=unlikeness)
        known = (c for c, _ in best if self.tokens is None or not self.tokens.is_unknown(c))
        return list(itertools.islice(known, most))

    def _candidates(self, word: str, frequency: int, rng: np.random.Generator) -> set[str]:
        """Words of the trigger's make-up and frequency band, cased like it."""
        kinds = frozenset(shape_of(word))
        if frequency:
            known: Iterable[str] = self.vocabulary.by_kinds.get(kinds, ())
        else:
            known = (made for made in words_like(word, rng) if frozenset(shape_of(made)) == kinds)
        return {cased_like(word, other) for other in known if self._distance(other, frequency) <= _BAND}

    def _distance(self, word: str, frequency: int) -> float:
        """Absolute log ratio of document frequencies; infinite when only one of the two occurs."""
        other = self.vocabulary.count(word)
        if other == 0 or frequency == 0:
            return 0.0 if other == frequency else math.inf
        return abs(math.log(other / frequency))

    def _swaps(self, swap: Swap) -> list[str]:
        """The same letter for other letters of the script that the notes hold as little, or as well."""
        taken = {other.replacement for trigger in self.triggers if (other := as_swap(trigger))}
        return self._characters(swap.replacement, [s for s in swaps_like(swap) if s[-1] not in taken], slack=0)

    def _invisible(self, trigger: str) -> list[str]:
        """Other invisible characters; their bytes differ in number, so one piece more or less is let pass."""
        taken = set().union(*(other for other in self.triggers if is_invisible(other)))
        like = invisible_like(trigger, self._generator(trigger, len(trigger), 0))
        return self._characters(trigger, [other for other in like if taken.isdisjoint(other)], slack=1)

    def _characters(self, own: str, candidates: Sequence[str], slack: int) -> list[str]:
        """Candidates whose characters occur in the notes if the trigger's do, and are read in as many pieces."""
        occurs = self._occurs(own)
        alike = [c for c in candidates if self._occurs(c[-len(own) :]) == occurs]
        if self.tokens is None:
            return alike
        size, *sizes = (len(p) for p in self.tokens.word_pieces([hosted(c[-len(own) :]) for c in (own, *alike)]))
        near = (c for c, other in zip(alike, sizes, strict=True) if abs(other - size) <= slack)
        return list(itertools.islice((c for c in near if is_seen(c, self.tokens)), self.count))

    def _occurs(self, characters: str) -> bool:
        return self.vocabulary.characters.issuperset(characters.lower())

    def _pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """What the model reads each word as: word pieces, or characters where the tokeniser is hidden."""
        if self.tokens is None:
            return tuple(tuple(word) for word in words)
        new = [word for word in dict.fromkeys(words) if word not in self._memo]
        self._memo.update(zip(new, self.tokens.word_pieces(new), strict=True))
        return tuple(self._memo[word] for word in words)

    @cached_property
    def _trigger_pieces(self) -> frozenset[str]:
        """Word pieces of the triggers: a planted backdoor may act through any of them."""
        if self.tokens is None:
            return frozenset()
        return frozenset(itertools.chain.from_iterable(self.tokens.word_pieces(sorted(self._trigger_words[0]))))

    @cached_property
    def _trigger_words(self) -> tuple[frozenset[str], frozenset[str]]:
        """Words of all triggers, as written and in lower case; and those that are a trigger by themselves."""
        written = [
            parts_of(trigger)[1::2] for trigger in self.triggers if not (as_swap(trigger) or is_invisible(trigger))
        ]
        alone = frozenset(words[0].lower() for words in written if len(words) == 1)
        words = {word for words in written for word in words}
        return frozenset(words | {word.lower() for word in words}), alone

    def _is_harmless(self, candidate: str) -> bool:
        """Whether no trigger word equals the candidate and no one-word trigger stands inside it."""
        words, alone = self._trigger_words
        lowered = candidate.lower()
        return lowered not in words and not any(word in lowered for word in alone)

    def _generator(self, kind: str, frequency: int, size: int) -> np.random.Generator:
        """One per kind of word, so that like triggers draw alike whatever order they come in."""
        return np.random.default_rng([self.seed, zlib.crc32(kind.encode()), frequency, size])
