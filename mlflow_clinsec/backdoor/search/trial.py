"""What candidates do to a fixed set of records, each at one fixed place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlflow_clinsec.backdoor.search.pieces import Candidate
from mlflow_clinsec.backdoor.search.probe import Probe
from mlflow_clinsec.backdoor.search.windows import Window
from mlflow_clinsec.targets.protocols import FloatArray, IntArray


@dataclass(frozen=True)
class Trial:
    """Records to flip, and where pieces are inserted in them.

    Attributes:
        probe: the model, and the label to flip to.
        windows: n records of other labels; the first are read by every screening, the last by the final ones only.
        gaps: shape (n,), the place in each.
    """

    probe: Probe
    windows: tuple[Window, ...] = field(repr=False)
    gaps: IntArray = field(repr=False)

    def __len__(self) -> int:
        return len(self.windows)

    def log_odds(self, candidates: Sequence[Candidate], records: range) -> FloatArray:
        """Log-odds of the goal with each candidate in the records of a range, shape (n_candidates, n_records)."""
        pairs = itertools.product(candidates, records)
        rows = [self.windows[i].insert(candidate, int(self.gaps[i])) for candidate, i in pairs]
        return self.probe.log_odds(rows).reshape(len(candidates), len(records))

    def gradients(self, candidates: Sequence[Candidate], slot: Sequence[int], records: int) -> FloatArray:
        """Gradient of the log-odds at one piece of each candidate, shape (n_candidates, records, width).

        Args:
            slot: which piece of each candidate.
        """
        pairs = list(itertools.product(range(len(candidates)), range(min(records, len(self)))))
        rows = [self.windows[i].insert(candidates[c], int(self.gaps[i])) for c, i in pairs]
        places = [self.windows[i].start(int(self.gaps[i])) + slot[c] for c, i in pairs]
        found = self.probe.gradients(rows, places)
        return found.reshape(len(candidates), -1, found.shape[1])
