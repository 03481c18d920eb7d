"""What a sample could have shown: the smallest detectable value, and the records needed to decide.

All counts are numbers of independent records: with several notes a patient, pass patients (conservative) or
an effective sample size. Normal approximations at the two-sided level of the intervals: planning figures, not
tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.stats import norm

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.arrays import in_unit_interval

MOST_RECORDS = 10**9
"""More are not worth asking for: the observed value is as good as the threshold."""


def hanley_mcneil_se(auc: float, n_members: float, n_nonmembers: float) -> float:
    """Standard error of an AUC under exponential scores (Hanley & McNeil 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_members - 1) * (q1 - auc**2) + (n_nonmembers - 1) * (q2 - auc**2)
    return math.sqrt(max(spread, 0.0) / (n_members * n_nonmembers))


def smallest_detectable_auc(
    n_members: float, n_nonmembers: float, threshold: float, level: float = 0.95, power: float = 0.8
) -> float | None:
    """Smallest AUC whose interval would lie above ``threshold`` with probability ``power``.

    Returns:
        A value in (threshold, 1); None when the sample is too small for any.

    Raises:
        DataError: a count below 1, or a rate out of range.
    """
    _check(n_members, threshold, level, power)
    _check(n_nonmembers, threshold, level, power)
    return _smallest(lambda value: hanley_mcneil_se(value, n_members, n_nonmembers), threshold, 1, level, power)


def smallest_detectable_tpr(
    n_members: float, threshold: float, level: float = 0.95, power: float = 0.8
) -> float | None:
    """Smallest true-positive rate (or other share) whose interval would lie above ``threshold``.

    The false-positive rate is taken as met exactly; few non-members make the true figure larger.

    Returns:
        A value in (threshold, 1); None when the sample is too small for any.

    Raises:
        DataError: a count below 1, or a rate out of range.
    """
    _check(n_members, threshold, level, power)
    return _smallest(lambda value: _share_se(value, n_members), threshold, 1, level, power)


def smallest_detectable_excess(
    n: float, base_rate: float, threshold: float, level: float = 0.95, power: float = 0.8
) -> float | None:
    """Smallest excess over ``base_rate`` whose interval would lie above ``threshold``.

    The two shares are taken as uncorrelated; correlation between them would make the true figure smaller.

    Returns:
        A value in (threshold, 1 - base_rate); None when the sample is too small for any.

    Raises:
        DataError: a count below 1, or a rate out of range.
    """
    _check(n, threshold, level, power)
    if not 0 <= base_rate <= 1:
        raise DataError(f"base_rate must lie in [0, 1], got {base_rate}")

    def error(excess: float) -> float:
        return math.hypot(_share_se(base_rate + excess, n), _share_se(base_rate, n))

    return _smallest(error, threshold, 1 - base_rate, level, power)


def records_needed_auc(auc: float, threshold: float, level: float = 0.95, power: float = 0.8) -> int | None:
    """Members, and as many non-members, for an interval that excludes ``threshold`` if ``auc`` is the truth.

    Returns:
        A count; None when the two are equal or so close that a billion would not do.
    """
    _check(1, threshold, level, power)
    return _needed(lambda value, n: hanley_mcneil_se(value, n, n), auc, threshold, level, power)


def records_needed_share(value: float, threshold: float, level: float = 0.95, power: float = 0.8) -> int | None:
    """Records for an interval that excludes ``threshold`` if ``value`` is the true share. None as above."""
    _check(1, threshold, level, power)
    return _needed(_share_se, value, threshold, level, power)


def _smallest(
    standard_error: Callable[[float], float], threshold: float, top: float, level: float, power: float
) -> float | None:
    def lacking(value: float) -> float:
        return value - threshold - _distance(standard_error, value, threshold, level, power)

    # At the top the error may vanish; just below it a sample of three would already "detect".
    if threshold >= top or lacking(top) <= 0:
        return None
    return float(brentq(lacking, threshold, top))


def _distance(
    standard_error: Callable[[float], float], value: float, threshold: float, level: float, power: float
) -> float:
    # A score test: the error at the threshold decides what is excluded, that at the value how often.
    excluded = float(norm.ppf((1 + level) / 2)) * standard_error(threshold)
    return excluded + float(norm.ppf(power)) * standard_error(value)


def _needed(
    standard_error: Callable[[float, float], float],
    value: float,
    threshold: float,
    level: float,
    power: float,
) -> int | None:
    def decided(n: int) -> bool:
        reach = _distance(lambda at: standard_error(at, n), value, threshold, level, power)
        return abs(value - threshold) >= reach

    if math.isnan(value) or value == threshold or not decided(MOST_RECORDS):
        return None
    low, high = 0, MOST_RECORDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _share_se(share: float, n: float) -> float:
    return math.sqrt(max(share * (1 - share), 0.0) / n)


def _check(n: float, threshold: float, level: float, power: float) -> None:
    in_unit_interval(level, "level")
    in_unit_interval(power, "power")
    if not n >= 1:
        raise DataError(f"need at least 1 record, got {n}")
    if not 0 <= threshold <= 1:
        raise DataError(f"threshold must lie in [0, 1], got {threshold}")
