"""Shares with intervals: independent records, records clustered by patient, and paired differences.

Notes of one patient resemble each other, so n notes of k patients say less than n independent ones. The
clustered intervals replace n by the effective sample size n / deff (Kish 1965), as survey statistics do
(Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, norm, t

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import (
    FloatArray,
    IntArray,
    as_flags,
    cluster_index,
    in_unit_interval,
    same_length,
    sum_by,
)

NO_RECORDS = "no records to judge"


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
    _check_counts(successes, n, level)
    if n == 0:
        return math.nan, math.nan
    share, z2 = successes / n, float(norm.ppf((1 + level) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not push a bound past the share itself, which at 0 and 1 is the bound.
    return max(0.0, min(centre - margin, share)), min(1.0, max(centre + margin, share))


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson (1934) "exact" interval of a share: never covers less than ``level``, often more.

    Returns:
        Lower and upper bound; (NaN, NaN) when n is 0.

    Raises:
        DataError: counts or level out of range.
    """
    _check_counts(successes, n, level)
    if n == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high


def clustered_share(hits: ArrayLike, group: ArrayLike, level: float = 0.95) -> Estimate:
    """Share of records that hit, with a Wilson interval on the effective sample size of the clusters.

    Args:
        hits: shape (n,), booleans.
        group: shape (n,), patient of each record.
        level: confidence level in (0, 1).

    Returns:
        ``Estimate.n`` is the number of groups. Undefined, with the reason, when there is no record.

    Raises:
        DataError: shapes differ, hits are not booleans, level out of range.
    """
    in_unit_interval(level, "level")
    flags = as_flags(hits, "hits")
    index, n_groups = cluster_index(group)
    same_length(hits=flags, group=index)
    if n_groups == 0:
        return Estimate.undefined(NO_RECORDS)
    share = _ShareOfClusters.of(flags.astype(np.float64), index, n_groups)
    low, high = share.bounds(level, binary=True)
    return Estimate(share.value, low, high, n_groups, level, "wilson, clustered")


def clustered_difference(
    first: ArrayLike, second: ArrayLike, group: ArrayLike, level: float = 0.95
) -> Estimate:
    """Difference of two shares measured on the same records, ``first`` minus ``second``.

    The interval is MOVER (Newcombe 1998, method 10, for paired shares) on the clustered Wilson bounds of
    either share, with the correlation of the two taken between groups. Unlike a bootstrap it keeps a positive
    length when all records agree, for instance when every trigger works and no placebo does.

    Args:
        first: shape (n,), booleans or values in [0, 1].
        second: shape (n,), booleans, or a per-record mean in [0, 1] such as the mean over 20 placebos.
        group: shape (n,), patient of each record.
        level: confidence level in (0, 1).

    Returns:
        Value and bounds in [-1, 1]; ``Estimate.n`` is the number of groups. Undefined without records.

    Raises:
        DataError: shapes differ, values outside [0, 1] or NaN, level out of range.
    """
    in_unit_interval(level, "level")
    a, b = _unit_values(first, "first"), _unit_values(second, "second")
    index, n_groups = cluster_index(group)
    same_length(first=a, second=b, group=index)
    if n_groups == 0:
        return Estimate.undefined(NO_RECORDS)
    left, right = _ShareOfClusters.of(a, index, n_groups), _ShareOfClusters.of(b, index, n_groups)
    low, high = _mover(
        left.value,
        left.bounds(level, binary=_is_binary(a)),
        right.value,
        right.bounds(level, binary=_is_binary(b)),
        left.correlation(right),
    )
    return Estimate(left.value - right.value, low, high, n_groups, level, "mover on clustered wilson")


def effective_interval(value: float, effective_n: float, degrees: float, level: float) -> tuple[float, float]:
    """Wilson bounds of a value in [0, 1] whose variance is value * (1 - value) / effective_n.

    ``degrees`` are those of the variance estimate: few clusters widen the interval by the ratio of t to
    normal quantiles (Korn & Graubard 1998); infinite for a variance that was not estimated.
    """
    tail = (1 + level) / 2
    shrink = 1.0 if math.isinf(degrees) else float((norm.ppf(tail) / t.ppf(tail, max(degrees, 1))) ** 2)
    n = effective_n * shrink
    return wilson(value * n, n, level)


@dataclass(frozen=True)
class _ShareOfClusters:
    """A mean of values in [0, 1] over n records of k groups, linearised by group.

    Attributes:
        residuals: shape (k,), sum over the group of (value - mean).
    """

    value: float
    n_records: int
    residuals: FloatArray

    @classmethod
    def of(cls, values: FloatArray, index: IntArray, n_groups: int) -> _ShareOfClusters:
        mean = float(values.mean())
        return cls(mean, values.size, sum_by(index, values - mean, n_groups))

    @property
    def variance(self) -> float:
        """Ratio-estimator variance of the mean over groups; NaN with one group."""
        k = self.residuals.size
        if k < 2:
            return math.nan
        return float(k / (k - 1) * np.square(self.residuals).sum() / self.n_records**2)

    def effective_n(self, binary: bool) -> float:
        """Independent records worth as much as these; the number of groups where that cannot be estimated.

        Booleans are never worth more than n (deff >= 1): a smaller estimate is luck. A mean over placebos is.
        """
        k, p, variance = self.residuals.size, self.value, self.variance
        if not 0 < p < 1 or not variance > 0:
            return float(k)
        # Divided by n - 1, as the variance over groups is by k - 1: equal for groups of one record.
        estimate = p * (1 - p) / variance * (self.n_records / max(self.n_records - 1, 1))
        return min(estimate, float(self.n_records)) if binary else estimate

    def bounds(self, level: float, binary: bool) -> tuple[float, float]:
        k = self.residuals.size
        estimated = 0 < self.value < 1 and 1 < k < self.n_records
        return effective_interval(
            self.value, self.effective_n(binary), k - 1 if estimated else math.inf, level
        )

    def correlation(self, other: _ShareOfClusters) -> float:
        scale = math.sqrt(np.square(self.residuals).sum() * np.square(other.residuals).sum())
        return float(self.residuals @ other.residuals) / scale if scale > 0 else 0.0


def _mover(
    a: float, bounds_a: tuple[float, float], b: float, bounds_b: tuple[float, float], correlation: float
) -> tuple[float, float]:
    def reach(x: float, y: float) -> float:
        return math.sqrt(max(x * x - 2 * correlation * x * y + y * y, 0.0))

    (low_a, high_a), (low_b, high_b) = bounds_a, bounds_b
    difference = a - b
    low = difference - reach(a - low_a, high_b - b)
    high = difference + reach(high_a - a, b - low_b)
    return max(low, -1.0), min(high, 1.0)


def _unit_values(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} must hold booleans or numbers in [0, 1], got dtype {array.dtype}")
    numbers = array.astype(np.float64)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise DataError(
            f"{name} must lie in [0, 1] without NaN, got values from {numbers.min()} to {numbers.max()}"
        )
    return numbers


def _is_binary(values: FloatArray) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _check_counts(successes: float, n: float, level: float) -> None:
    in_unit_interval(level, "level")
    if not 0 <= successes <= n or math.isinf(n):
        raise DataError(f"need 0 <= successes <= n, got successes={successes} and n={n}")
