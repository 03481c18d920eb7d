"""How natural a trigger looks where it stands in the audited notes.

A character n-gram model is fitted on the notes of half of the patients. In the notes of the other half the trigger
is put at random places, and the mean log-probability of its characters, and of the few behind them that it disturbs,
is ranked among that of equally long pieces of the same notes as they are. The score is the share of clean pieces that
are less probable: about 0.5 for text like any other, near 0 for what the notes never hold. It is one number per
trigger and says nothing of any single note.

Ours, with Witten-Bell smoothing (Witten & Bell 1991, method C). A rank and no perplexity, as ONION takes it
(arXiv 2011.10369), so that scores on notes of different kinds can be compared. It is about the text that a machine
reads: a look-alike scores near 0 although nobody sees it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlflow_clinsec.perturb.insert import insert_at, place_of

FloatArray = NDArray[np.float64]

ORDER = 5
"""Characters that the model looks at, the predicted one included."""
FITTED = 300_000
"""Most characters that the model is fitted on."""
PLACES = 64
"""Places at which each trigger is tried."""
HELD_OUT = 64
"""Most notes that are ranked against."""
UNSEEN = 1 / 0x10000
"""Probability of each character before any text was seen: the Basic Multilingual Plane is uniform."""


@dataclass(frozen=True)
class CharacterModel:
    """Witten-Bell n-gram model of characters.

    Attributes:
        grams: n-gram -> how often it occurs, all lengths from 1 to ``ORDER``.
        contexts: n-gram without its last character -> (how often continued, number of different continuations).
    """

    grams: Mapping[str, int] = field(repr=False)
    contexts: Mapping[str, tuple[int, int]] = field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> CharacterModel:
        """Count the n-grams of each text."""
        grams: Counter[str] = Counter()
        for text in texts:
            for size in range(1, ORDER + 1):
                grams.update(text[i : i + size] for i in range(len(text) - size + 1))
        totals: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        for gram, count in grams.items():
            totals[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        return cls(grams, {context: (total, kinds[context]) for context, total in totals.items()})

    def probability(self, character: str, context: str) -> float:
        """Of a character behind a context, of which at most ``ORDER`` - 1 characters are read."""
        found = UNSEEN
        for size in range(min(len(context), ORDER - 1) + 1):
            history = context[len(context) - size :]
            total, kinds = self.contexts.get(history, (0, 0))
            if total == 0:
                break
            found = (self.grams.get(history + character, 0) + kinds * found) / (total + kinds)
        return found

    def log_probabilities(self, text: str) -> FloatArray:
        """Natural log-probability of each character given those before it, shape (n_characters,)."""
        logs = [math.log(self.probability(c, text[max(0, i - ORDER + 1) : i])) for i, c in enumerate(text)]
        return np.array(logs, dtype=np.float64)


@dataclass(frozen=True)
class Naturalness:
    """Scores triggers against held-out notes.

    Attributes:
        model: fitted on the notes of other patients.
        notes: held-out notes, white space made single blanks.
        cumulated: per note, shape (n_characters + 1,), summed log-probabilities.
        places: (note, character offset) at which triggers are tried.
    """

    model: CharacterModel = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    cumulated: tuple[FloatArray, ...] = field(repr=False)
    places: tuple[tuple[int, int], ...] = field(repr=False)
    _ranked: dict[int, list[float]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, texts: Sequence[str], group: ArrayLike, rng: np.random.Generator) -> Naturalness | None:
        """Fit on half of the patients and hold out the other half; None with fewer than two patients.

        Args:
            texts: n audited notes.
            group: shape (n,), patient of each.
            rng: draws the halves and the places.
        """
        patients = np.unique(np.asarray(group))
        held = rng.permutation(patients)[: len(patients) // 2]
        order = rng.permutation(len(texts))
        plain = [f" {' '.join(texts[i].split())} " for i in order]
        out = np.isin(np.asarray(group)[order], held)
        notes = tuple(text for text, apart in zip(plain, out, strict=True) if apart and text.strip())[:HELD_OUT]
        if not notes or out.all():
            return None
        model = CharacterModel.of(_at_most([text for text, apart in zip(plain, out, strict=True) if not apart]))
        drawn = rng.integers(len(notes), size=PLACES)
        places = tuple((int(i), place_of(notes[i], "random", rng)) for i in drawn)
        cumulated = tuple(np.concatenate([[0.0], np.cumsum(model.log_probabilities(note))]) for note in notes)
        return cls(model, notes, cumulated, places)

    def score(self, trigger: str) -> float:
        """Share of clean pieces of text that are less probable than the trigger, ties by half, in [0, 1].

        Mean over the places; NaN where the trigger can stand at none of them.
        """
        ranks = []
        for note, place in self.places:
            text, (start, stop) = insert_at(self.notes[note], trigger, place)
            if start == stop:
                continue
            end = min(stop + ORDER - 1, len(text))
            before = max(0, start - ORDER + 1)
            mean = float(self.model.log_probabilities(text[before:end])[start - before :].mean())
            ranked = self._clean(end - start)
            ranks.append((bisect_left(ranked, mean) + bisect_right(ranked, mean)) / (2 * len(ranked)))
        return float(np.mean(ranks)) if ranks else math.nan

    def _clean(self, length: int) -> list[float]:
        """Mean log-probabilities of all pieces of that many characters that begin with a word, ascending; of shorter
        notes their whole."""
        if length not in self._ranked:
            pieces = zip(self.notes, self.cumulated, strict=True)
            self._ranked[length] = sorted(mean for piece in pieces for mean in _means(*piece, length))
        return self._ranked[length]


def _means(note: str, cumulated: FloatArray, length: int) -> list[float]:
    starts = np.array([i + 1 for i, character in enumerate(note[:-1]) if character == " "], dtype=np.int64)
    inside = starts[starts + length <= len(note)]
    inside = inside if inside.size else starts[:1]
    stops = np.minimum(inside + length, len(note))
    means: list[float] = ((cumulated[stops] - cumulated[inside]) / (stops - inside)).tolist()
    return means


def _at_most(texts: Sequence[str]) -> list[str]:
    """The first texts that hold no more than ``FITTED`` characters together; the last one cut."""
    kept, room = [], FITTED
    for text in texts:
        kept.append(text[:room])
        room -= len(kept[-1])
        if room <= 0:
            break
    return kept
