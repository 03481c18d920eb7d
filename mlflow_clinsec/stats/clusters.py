"""What clustering by patient does to a mean: its variance, effective sample size and interval.

Notes of one patient resemble each other, so n notes of k patients say less than n independent ones. Intervals
replace n by the effective sample size n / deff (Kish 1965), as survey statistics do (Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm, rankdata, t

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.arrays import FloatArray, IntArray, in_unit_interval, sum_by

FEWEST_GROUPS = 3
"""Fewer groups with a hit (or with a miss) cannot show how hits cluster within groups."""

ROUNDING = 1e-24
"""Squared deviations per squared record that are nothing but rounding of equal values."""


@dataclass(frozen=True)
class ClusteredShare:
    """Mean of values in [0, 1] over n records of k groups.

    Attributes:
        value: mean over records.
        n_records: n.
        residuals: shape (k,), sum over each group of (value - mean): the mean linearised by group.
        binary: whether all values are 0 or 1.
        rarer: number of groups with a value above 0, or with one below 1, whichever is smaller.
    """

    value: float
    n_records: int
    residuals: FloatArray = field(repr=False)
    binary: bool
    rarer: int

    @classmethod
    def of(cls, values: FloatArray, index: IntArray, n_groups: int) -> ClusteredShare:
        """From n > 0 values and the group number 0 .. k-1 of each."""
        mean = float(values.mean())
        hit, missed = sum_by(index, values > 0, n_groups), sum_by(index, values < 1, n_groups)
        return cls(
            mean,
            values.size,
            sum_by(index, values - mean, n_groups),
            bool(np.isin(values, (0.0, 1.0)).all()),
            int(min((hit > 0).sum(), (missed > 0).sum())),
        )

    @property
    def n_groups(self) -> int:
        """k."""
        return self.residuals.size

    @property
    def effective_n(self) -> float:
        """Independent records worth as much as these n: from n / deff where deff can be told, else at most k.

        For booleans deff is at least 1: that n notes say more than n independent ones is luck. A per-record mean
        over several placebos does say more.
        """
        k, p = self.n_groups, self.value
        spread = float(np.square(self.residuals).sum())
        one_each = self.binary and k == self.n_records
        if one_each or self.rarer == 0 or k < 2 or spread <= ROUNDING * self.n_records**2:
            return float(k)
        # Divided by n - 1, as the spread is by k - 1, so that deff is exactly 1 for groups of one record.
        simple = p * (1 - p) * self.n_records**2 / (self.n_records - 1)
        worth = self.n_records * simple / (spread * k / (k - 1))
        worth = min(worth, self.n_records) if self.binary else worth
        return min(worth, k) if self.rarer < FEWEST_GROUPS else worth

    def bounds(self, level: float) -> tuple[float, float]:
        """Wilson bounds on the effective sample size, with t quantiles where it was estimated."""
        worth = self.effective_n
        estimated = worth != self.n_groups
        return effective_wilson(self.value, worth, self.n_groups - 1 if estimated else math.inf, level)

    def correlation(self, other: ClusteredShare) -> float:
        """Correlation between groups of two means over the same records; 0 where one does not vary."""
        scale = math.sqrt(np.square(self.residuals).sum() * np.square(other.residuals).sum())
        return float(self.residuals @ other.residuals) / scale if scale > 0 else 0.0


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson (1927) score interval of a share.

    Args:
        successes: count, 0 <= successes <= n; may be fractional.
        n: count, may be an effective (non-integer) sample size.
        level: confidence level in (0, 1).

    Returns:
        Lower and upper bound, within [0, 1] and around successes / n; (NaN, NaN) when n is 0.

    Raises:
        DataError: counts or level out of range.

    >>> tuple(round(bound, 4) for bound in wilson(8, 10))
    (0.4902, 0.9433)
    """
    check_counts(successes, n, level)
    if n == 0:
        return math.nan, math.nan
    share, z2 = successes / n, float(norm.ppf((1 + level) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not push a bound past the share itself, which at 0 and 1 is the bound.
    return max(0.0, min(centre - margin, share)), min(1.0, max(centre + margin, share))


def effective_wilson(value: float, effective_n: float, degrees: float, level: float) -> tuple[float, float]:
    """Wilson bounds of a value in [0, 1] whose variance is value * (1 - value) / effective_n.

    ``degrees`` are those of the variance estimate: few clusters widen the interval by the ratio of t to normal
    quantiles; infinite for a variance that was not estimated.
    """
    tail = (1 + level) / 2
    shrink = 1.0 if math.isinf(degrees) else float((norm.ppf(tail) / t.ppf(tail, max(degrees, 1))) ** 2)
    n = effective_n * shrink
    return wilson(value * n, n, level)


def rank_design_effect(scores: FloatArray, index: IntArray, n_groups: int) -> float:
    """Design effect 1 + (m - 1) * ICC of a score's ranks, at least 1; m is the size-weighted mean group size.

    Ranks, because only order matters to a ROC; one-way ANOVA estimate of the intraclass correlation.
    """
    n, sizes = scores.size, sum_by(index, np.ones(scores.size), n_groups)
    sizes = sizes[sizes > 0]
    k = sizes.size
    if not 2 <= k < n:
        return float(n) if k == 1 else 1.0
    ranks = rankdata(scores)
    means = sum_by(index, ranks, n_groups) / np.maximum(sum_by(index, np.ones(n), n_groups), 1)
    within = float(np.square(ranks - means[index]).sum()) / (n - k)
    between = float(np.square(means[index] - ranks.mean()).sum()) / (k - 1)
    typical = (n - float(np.square(sizes).sum()) / n) / (k - 1)
    total = between + (typical - 1) * within
    icc = min(max((between - within) / total, 0.0), 1.0) if total > 0 else 0.0
    return 1 + (float(np.square(sizes).sum()) / n - 1) * icc


def check_counts(successes: float, n: float, level: float) -> None:
    """Refuse counts that are no share.

    Raises:
        DataError: counts or level out of range.
    """
    in_unit_interval(level, "level")
    if not 0 <= successes <= n or math.isinf(n):
        raise DataError(f"need 0 <= successes <= n, got successes={successes} and n={n}")
