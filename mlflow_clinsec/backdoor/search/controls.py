"""Placebos for finds: pieces of the same vocabulary that are like a find in all that is known of them beforehand.

As in :mod:`mlflow_clinsec.perturb.placebos` a placebo has as many pieces, the same kinds of characters and a like
frequency in the audited records. There the words come from a list and from the records; here from the model's
vocabulary, so that any piece has some, and showing one reveals no record.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.backdoor.search.association import Association
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon
from mlflow_clinsec.targets.protocols import IntArray

PLACEBOS = 20
BAND = 4.0
"""Pieces are alike when the patients who have them differ by no more than about this factor."""

Profile = tuple[frozenset[str], int]
"""Kinds of characters, and band of frequency."""


@dataclass(frozen=True)
class Controls:
    """Draws placebos; finds that are alike get the same ones, so that these are read once.

    Attributes:
        lexicon: where they come from.
        association: tells how many patients have a piece.
        taken: pieces of finds, none of which serves as a placebo.
        seed: the same seed gives the same placebos, whatever was drawn before.
    """

    lexicon: Lexicon = field(repr=False)
    association: Association = field(repr=False)
    taken: frozenset[int]
    seed: int

    def placebos(self, find: Candidate) -> tuple[str, ...]:
        """At most 20 words or phrases for one find, fewer only where the vocabulary has no more."""
        profiles = [self._profile(piece) for piece in find]
        pools = [self._pool(profile) for profile in profiles]
        rng = np.random.default_rng([self.seed, zlib.crc32(repr([(sorted(k), b) for k, b in profiles]).encode())])
        made = [tuple(int(rng.choice(pool)) for pool in pools) for _ in range(10 * PLACEBOS)]
        return tuple(self.lexicon.text(candidate) for candidate in self.lexicon.survivors(made)[:PLACEBOS])

    def _pool(self, profile: Profile) -> IntArray:
        """Pieces of one profile; all that can stand alone where too few are alike."""
        others = np.array([i for i in self.lexicon.starters.tolist() if i not in self.taken])
        alike = np.array([i for i in others.tolist() if self._profile(i) == profile], dtype=np.int64)
        return alike if len(alike) >= PLACEBOS else others

    def _profile(self, piece: int) -> Profile:
        patients = int(self.association.patients[piece])
        band = 1 + int(math.log(patients, BAND)) if patients else 0
        return kinds(self.lexicon.surfaces[piece]), band


def kinds(surface: str) -> frozenset[str]:
    """The kinds of characters of a piece: letters, digits, other."""
    return frozenset("a" if c.isalpha() else "0" if c.isdigit() else "." for c in surface.strip())
