"""Window-based comparison: in how many stretches of the text the target beats the reference.

Source: Chen 2026 (arXiv 2601.02751, sections 4.1.3 and 4.1.4). With d = logp - logp_ref per token, every window of w
neighbouring tokens votes for membership when its sum of d is above 0. The score is the share of votes, averaged over
geometrically spaced window sizes. Votes, not sums, because a few words that fine-tuning made much likelier outweigh
many small advantages, and such words stand in members and non-members alike.

A text shorter than a window is one window, as in the authors' code. Departure: shares of few windows often tie, so
equal shares are put in the order of mean(d).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import token_log_ratio
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target

_TIE = 1e-9
"""Weight of mean(d): it settles ties and is lost beside a single vote."""


@dataclass(frozen=True)
class WindowOptions(MembershipOptions):
    """Attributes:
    windows: window sizes in tokens; the paper's by default.
    """

    windows: tuple[int, ...] = setting((2, 3, 4, 6, 9, 13, 18, 25, 32, 40), low=1)

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("windows: at least one window size is needed")


def score(data: AuditData, target: Target, options: WindowOptions, rng: np.random.Generator) -> FloatArray:
    """Share of windows with a positive sum of d, from 0 to 1, shape (n_records,); NaN for a text without tokens."""
    stats, ratio = token_log_ratio(data, target)
    return np.array([share_of_votes(row, options.windows) for row in stats.rows(ratio)])


def share_of_votes(ratio: FloatArray, windows: Sequence[int]) -> float:
    """One text's share of windows with a positive sum, averaged over the window sizes."""
    if ratio.size == 0:
        return float("nan")
    sums = np.concatenate([[0.0], np.cumsum(ratio)])
    sizes = np.minimum(windows, ratio.size)
    shares = [float((sums[size:] > sums[:-size]).mean()) for size in sizes]
    return float(np.mean(shares) + _TIE * np.tanh(ratio.mean()))


WBC = membership_attack(
    "wbc",
    "windows in which the target beats the reference",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source="Chen 2026, arXiv 2601.02751, sections 4.1.3 and 4.1.4",
    formula="share of windows with sum(d) > 0, mean over window sizes; d = logp - logp_ref per token",
    options=WindowOptions(),
    departures="equal shares are put in the order of mean(d)",
)
