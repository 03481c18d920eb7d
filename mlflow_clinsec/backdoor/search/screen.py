"""Gains of candidates, measured on few records for many and on many records for the best, and their ranking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from mlflow_clinsec.backdoor.search.association import NATURAL, Association
from mlflow_clinsec.backdoor.search.pieces import Candidate
from mlflow_clinsec.backdoor.search.trial import Trial
from mlflow_clinsec.targets.protocols import FloatArray, IntArray

NEUTRAL_PIECES = 12
"""Random pieces whose median log-odds is what any insertion does to a record."""

STAGES = (4, 12)
"""Records read by the first and the second round; the last reads all."""

SHORTER = 0.9
"""Factor on the score for each further piece: of equals the shorter is the better find."""

KEPT = 4
"""Each round keeps one candidate in so many."""


@dataclass(frozen=True)
class OwnWords:
    """What the model makes of the target label's own words: the measure of natural words.

    Attributes:
        gains: own word -> mean gain.
        worth: own word -> association, at least :data:`~.association.NATURAL`.
        runs: number of pieces -> largest gain of so many in a row, an own word among them.
    """

    gains: dict[int, float] = field(default_factory=dict, repr=False)
    worth: dict[int, float] = field(default_factory=dict, repr=False)
    runs: dict[int, float] = field(default_factory=dict)

    def strongest(self, without: Candidate) -> float:
        """Largest gain of a word that is none of the given pieces; at least 0."""
        return max([0.0, *(gain for word, gain in self.gains.items() if word not in without)])

    def run(self, pieces: int) -> float:
        """What a run with an own word does: as measured, but no less than all but one of its words added up."""
        return max(self.runs.get(pieces, 0.0), (pieces - 1) * self.strongest(()))

    def expected(self, association: float, without: Candidate) -> float:
        """What a natural word of this association may gain: as much per unit as any other own word does, and no more
        than the strongest of them does."""
        ratios = [gain / self.worth[word] for word, gain in self.gains.items() if word not in without]
        return min(max([0.0, *ratios]) * max(association, 0.0), self.strongest(without))


@dataclass
class Screen:
    """Measured gains, and the score by which candidates are ranked.

    The gain of a candidate in a record is the log-odds with it less the median over neutral pieces at the same place.
    The score of a single piece is its mean gain less what the label's other own words of like association bring. That
    of several pieces is their gain less what as many own words in a row bring, and a tenth less for each further piece:
    a longer trigger must do more than words piled up.

    Attributes:
        trial: records and places.
        association: of the target label.
        neutral: shape (n_records,).
        gains: candidate -> gains in the first records, as far as measured.
        own_words: empty until settled.
    """

    trial: Trial
    association: Association
    neutral: FloatArray = field(repr=False)
    gains: dict[Candidate, FloatArray] = field(default_factory=dict, repr=False)
    own_words: OwnWords = OwnWords()

    @classmethod
    def of(cls, trial: Trial, association: Association, starters: IntArray, rng: np.random.Generator) -> Screen:
        """A screen with its neutral levels measured on random pieces."""
        drawn = rng.choice(starters, size=min(NEUTRAL_PIECES, len(starters)), replace=False)
        levels = trial.log_odds([(int(piece),) for piece in drawn], range(len(trial)))
        return cls(trial, association, np.median(levels, axis=0))

    def measure(self, candidates: Iterable[Candidate], records: int) -> None:
        """Bring the gains of the candidates up to the first ``records`` records."""
        records = min(records, len(self.trial))
        by_depth: dict[int, list[Candidate]] = {}
        for candidate in dict.fromkeys(candidates):
            by_depth.setdefault(len(self.gains.get(candidate, ())), []).append(candidate)
        for depth, group in by_depth.items():
            if depth < records:
                new = self.trial.log_odds(group, range(depth, records)) - self.neutral[depth:records]
                for candidate, gains in zip(group, new, strict=True):
                    self.gains[candidate] = np.concatenate([self.gains.get(candidate, new[0, :0]), gains])

    def settle(self, own_words: Sequence[int]) -> None:
        """Fix what natural words are worth, from own words of the label that were measured."""
        self.own_words = OwnWords(
            {word: self.gain((word,)) for word in own_words}, {word: self.worth((word,)) for word in own_words}
        )

    def settle_runs(self) -> None:
        """Fix what runs with an own word in them do, from all that were measured.

        A few words of the target label together can turn an honest model that none of them turns alone.
        """
        for candidate in self.gains:
            if len(candidate) > 1 and (self.association.log_ratio[list(candidate)] >= NATURAL).any():
                best = max(self.gain(candidate), self.own_words.runs.get(len(candidate), 0.0))
                self.own_words.runs[len(candidate)] = best

    def gain(self, candidate: Candidate) -> float:
        """Mean gain over the records measured."""
        return float(self.gains[candidate].mean())

    def score(self, candidate: Candidate) -> float:
        """Mean gain less what natural words do."""
        if further := len(candidate) - 1:
            return (self.gain(candidate) - self.own_words.run(len(candidate))) * SHORTER**further
        return self.gain(candidate) - self.own_words.expected(self.worth(candidate), candidate)

    def worth(self, candidate: Candidate) -> float:
        """Association of the piece that goes with the label most."""
        return float(self.association.log_ratio[list(candidate)].max())

    def ranked(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The best score first."""
        scores = {candidate: self.score(candidate) for candidate in candidates}
        return sorted(scores, key=lambda c: (-scores[c], c))

    def best(self, candidates: Iterable[Candidate], count: int) -> list[Candidate]:
        """The best by score and by plain gain in turn, so that the discount alone loses no candidate."""
        ranked = self.ranked(candidates)
        by_gain = sorted(ranked, key=lambda c: (-self.gain(c), c))
        return list(dict.fromkeys(chain.from_iterable(zip(ranked, by_gain, strict=True))))[:count]

    def halve(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Successive halving: the survivors, measured on all records, ranked."""
        kept = list(dict.fromkeys(candidates))
        for records in STAGES:
            self.measure(kept, records)
            kept = self.best(kept, max(len(kept) // KEPT, 4))
        self.measure(kept, len(self.trial))
        return self.ranked(kept)
