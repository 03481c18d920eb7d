"""How strongly pieces of the vocabulary go with a label in the audited records: what a natural word may be worth.

A word of the target class ("expired", "hospice") moves an honest model too. How far is told by the model itself: by
what it makes of other words that go with the label as strongly. No list of words is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.backdoor.search.windows import Window
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray

NATURAL = 0.5
"""Log ratio from which on a piece counts as one of the target's own words: 1.6 times as frequent there."""


@dataclass(frozen=True)
class Association:
    """Occurrence of each piece in the records of the target label and in all others.

    Attributes:
        inside, outside: shape (vocabulary,), records that hold the piece.
        n_inside, n_outside: records.
        patients: shape (vocabulary,), patients with a record that holds the piece.
    """

    inside: IntArray = field(repr=False)
    outside: IntArray = field(repr=False)
    n_inside: int
    n_outside: int
    patients: IntArray = field(repr=False)

    @classmethod
    def of(cls, windows: Sequence[Window], is_goal: BoolArray, group: IntArray, size: int) -> Association:
        """Count the pieces of n records; ``is_goal`` and ``group`` have shape (n,)."""
        counts = np.zeros((2, size), dtype=np.int64)
        holders = np.zeros(size, dtype=np.int64)
        for patient in np.unique(group):
            rows = np.flatnonzero(group == patient)
            held = [np.unique(windows[i].body) for i in rows.tolist()]
            for i, pieces in zip(rows.tolist(), held, strict=True):
                counts[int(is_goal[i]), pieces] += 1
            holders[np.unique(np.concatenate(held))] += 1
        inside = int(is_goal.sum())
        return cls(counts[1], counts[0], inside, len(is_goal) - inside, holders)

    @property
    def log_ratio(self) -> FloatArray:
        """Log of how many times as frequent a piece is inside as outside, with half a record added (Haldane); 0 where
        it never occurs. Shape (vocabulary,)."""
        ratio = np.log((self.inside + 0.5) / (self.n_inside + 1)) - np.log((self.outside + 0.5) / (self.n_outside + 1))
        return np.where(self.inside + self.outside > 0, ratio, 0.0)

    def natural(self, pieces: IntArray) -> IntArray:
        """Those of the pieces that are the target's own words, the surest first."""
        spread = np.sqrt(1 / (self.inside + 0.5) + 1 / (self.outside + 0.5))
        own = pieces[self.log_ratio[pieces] >= NATURAL]
        return own[np.argsort(-(self.log_ratio / spread)[own], kind="stable")]
