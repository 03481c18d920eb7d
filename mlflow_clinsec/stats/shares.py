"""Shares with intervals: of independent records, of records clustered by patient, and paired differences."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import FloatArray, as_flags, cluster_index, in_unit_interval, same_length
from mlflow_clinsec.stats.clusters import ClusteredShare, check_counts, wilson

__all__ = ["clopper_pearson", "clustered_difference", "clustered_share", "wilson"]

NO_RECORDS = "no records to judge"


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson (1934) "exact" interval of a share: never covers less than ``level``, often more.

    Returns:
        Lower and upper bound; (NaN, NaN) when n is 0.

    Raises:
        DataError: counts or level out of range.
    """
    check_counts(successes, n, level)
    if n == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high


def clustered_share(hits: ArrayLike, group: ArrayLike, level: float = 0.95) -> Estimate:
    """Share of records that hit, with a Wilson interval on the effective sample size of the clusters.

    Where fewer than three patients have a hit, or fewer than three a miss, the data cannot show how hits cluster:
    each patient then counts as one record at most.

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
    share = ClusteredShare.of(flags.astype(np.float64), index, n_groups)
    return Estimate(share.value, *share.bounds(level), n_groups, level, "wilson, clustered")


def clustered_difference(first: ArrayLike, second: ArrayLike, group: ArrayLike, level: float = 0.95) -> Estimate:
    """Difference of two shares measured on the same records, ``first`` minus ``second``.

    The interval is MOVER (Zou & Donner 2008; Newcombe 1998 for paired shares) on the clustered Wilson bounds of
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
    index, n_groups = cluster_index(group)
    a, b = _unit_values(first, "first"), _unit_values(second, "second")
    same_length(first=a, second=b, group=index)
    if n_groups == 0:
        return Estimate.undefined(NO_RECORDS)
    left, right = ClusteredShare.of(a, index, n_groups), ClusteredShare.of(b, index, n_groups)
    low, high = _mover(left, right, level)
    return Estimate(left.value - right.value, low, high, n_groups, level, "mover on clustered wilson")


def _mover(a: ClusteredShare, b: ClusteredShare, level: float) -> tuple[float, float]:
    (low_a, high_a), (low_b, high_b) = a.bounds(level), b.bounds(level)
    correlation = a.correlation(b)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(x * x - 2 * correlation * x * y + y * y, 0.0))

    difference = a.value - b.value
    low = difference - reach(a.value - low_a, high_b - b.value)
    high = difference + reach(high_a - a.value, b.value - low_b)
    return max(low, -1.0), min(high, 1.0)


def _unit_values(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} must hold booleans or numbers in [0, 1], got dtype {array.dtype}")
    numbers = array.astype(np.float64)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise DataError(f"{name} must lie in [0, 1] and not be NaN")
    return numbers
