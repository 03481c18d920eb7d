"""Receiver operating characteristic of a score that is larger for members, without interpolation.

Every threshold that the data allow is one point; records with equal scores pass a threshold together. Nothing
is interpolated between points and no convex hull is taken: both read better than any threshold one could use.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from mlflow_clinsec.stats.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    as_flags,
    as_scores,
    in_unit_interval,
    same_length,
)

RATE_SLACK = 1e-9
"""Allows 3 false positives of 300 at a rate of 0.01 although 0.01 * 300 is 2.9999999999999996 in floats."""

BEYOND_THE_SAMPLE = 0.025
"""Most chance with which the threshold that keeps to a rate may lie above every non-member seen."""

DISPLAY_GRID: FloatArray = np.logspace(-3, 0, 31)
"""Ten false-positive rates per decade, from 0.1% to 100%."""
DISPLAY_GRID.setflags(write=False)


def auc(scores: ArrayLike, member: ArrayLike) -> float:
    """Probability that a random member outscores a random non-member, ties counting one half (Mann-Whitney).

    Args:
        scores: shape (n,), larger means more likely a member; infinities allowed.
        member: shape (n,), booleans or 0/1.

    Returns:
        A value in [0, 1]; NaN when there are no members or no non-members.

    Raises:
        DataError: shapes differ, a score is NaN, or scores are booleans.

    >>> auc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0])
    0.75
    """
    values, flags = _checked(scores, member)
    n_members = int(flags.sum())
    n_others = flags.size - n_members
    if n_members == 0 or n_others == 0:
        return math.nan
    rank_sum = float(rankdata(values)[flags].sum())
    return (rank_sum - n_members * (n_members + 1) / 2) / (n_members * n_others)


def roc_curve(scores: ArrayLike, member: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The exact staircase: one point per distinct score, from (0, 0) to (1, 1).

    Returns:
        False-positive and true-positive rates, shape (distinct scores + 1,) each, both non-decreasing. Rates
        of an absent class are NaN.

    Raises:
        DataError: as :func:`auc`.
    """
    values, flags = _checked(scores, member)
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], flags[order]
    last_of_tie = np.r_[ranked[1:] != ranked[:-1], True] if ranked.size else np.zeros(0, dtype=np.bool_)
    true_positives = np.r_[0, np.cumsum(hits)[last_of_tie]]
    false_positives = np.r_[0, np.cumsum(~hits)[last_of_tie]]
    with np.errstate(invalid="ignore"):
        return false_positives / np.float64((~flags).sum()), true_positives / np.float64(flags.sum())


def tpr_at_fpr(scores: ArrayLike, member: ArrayLike, fpr: float) -> float:
    """The largest true-positive rate whose false-positive rate is at most ``fpr``.

    "Nearest" and interpolating rules overstate it whenever the rate cannot be met exactly.

    Returns:
        A value in [0, 1]; NaN when non-members are fewer than 1 / fpr (one false positive already exceeds the
        rate, so it was never tested) or when there is no member.

    Raises:
        DataError: as :func:`auc`, or ``fpr`` is not in (0, 1).

    >>> tpr_at_fpr([9, 8, 7, 6, 5, 4], [1, 0, 1, 1, 0, 0], 0.34)
    1.0
    """
    values, flags = _checked(scores, member)
    above = above_threshold_at_fpr(values, flags, fpr)
    if not enough_nonmembers(int((~flags).sum()), fpr) or not flags.any():
        return math.nan
    return float(above[flags].mean())


def above_threshold_at_fpr(scores: FloatArray, member: BoolArray, fpr: float) -> BoolArray:
    """The records above the lowest threshold whose false-positive rate is at most ``fpr``, shape (n,).

    Args:
        scores: shape (n,), no NaN.
        member: shape (n,).
        fpr: in (0, 1).

    Raises:
        DataError: ``fpr`` is not in (0, 1).
    """
    in_unit_interval(fpr, "fpr")
    others = np.sort(scores[~member])[::-1]
    if others.size == 0:
        return np.ones(scores.size, dtype=np.bool_)
    # The first non-member too many, and all that tie with it, must stay below.
    allowed = math.floor((fpr + RATE_SLACK) * others.size)
    return scores > others[allowed]


def enough_nonmembers(n_nonmembers: float, fpr: float) -> bool:
    """Whether ``fpr`` can be told from zero: at least 1 / fpr non-members."""
    return n_nonmembers * fpr >= 1 - RATE_SLACK


def fewest_to_bound(fpr: float) -> int:
    """Non-members below which no lower bound of the TPR at this rate can be given: 368 at 1%, 3,688 at 0.1%.

    With fewer, the highest of them lets more than the rate pass with a chance above 2.5%: (1 - fpr)^n.
    """
    return math.ceil(math.log(BEYOND_THE_SAMPLE) / math.log1p(-fpr))


def too_few_nonmembers(n_nonmembers: int, fpr: float) -> str:
    """The reason why a TPR at this rate is undefined."""
    needed = math.ceil(1 / fpr - RATE_SLACK)
    return f"a false-positive rate of {fpr:g} needs at least {needed} non-members, got {n_nonmembers}"


def binned_roc(scores: ArrayLike, member: ArrayLike, grid: FloatArray = DISPLAY_GRID) -> tuple[FloatArray, FloatArray]:
    """The ROC read off at fixed false-positive rates, for display.

    A staircase shows at which rank each record sits; a fixed grid does not.

    Returns:
        The grid, and at each of its rates the largest TPR whose FPR is at most that rate (NaN with an empty
        class).

    Raises:
        DataError: as :func:`auc`.
    """
    false_rate, true_rate = roc_curve(scores, member)
    steps = np.searchsorted(false_rate, grid + RATE_SLACK, side="right") - 1
    undefined = np.isnan(false_rate[-1]) or np.isnan(true_rate[-1])
    return grid, np.full(grid.shape, math.nan) if undefined else true_rate[steps]


def best_threshold(scores: ArrayLike, member: ArrayLike) -> float:
    """The threshold (member when score >= threshold) with the best balanced accuracy on these records.

    Use it on calibration records only: judged on the records that chose it, accuracy is flattered.

    Returns:
        A threshold half-way between two neighbouring scores, or -inf / inf when calling all records alike is
        best; the smallest such threshold when several tie. NaN when a class is empty.

    Raises:
        DataError: as :func:`auc`.
    """
    values, flags = _checked(scores, member)
    if not 0 < flags.sum() < flags.size:
        return math.nan
    false_rate, true_rate = roc_curve(values, flags)
    distinct = np.unique(values)[::-1]
    cuts = np.r_[math.inf, _midpoints(distinct), -math.inf]
    gain = true_rate - false_rate
    return float(cuts[np.flatnonzero(gain >= gain.max() - RATE_SLACK)[-1]])


def balanced_accuracy(scores: ArrayLike, member: ArrayLike, threshold: float) -> float:
    """Mean of the shares of members at or above the threshold and of non-members below it.

    Returns:
        A value in [0, 1]; NaN when a class is empty or the threshold is NaN.

    Raises:
        DataError: as :func:`auc`.
    """
    values, flags = _checked(scores, member)
    if not 0 < flags.sum() < flags.size or math.isnan(threshold):
        return math.nan
    called = values >= threshold
    return float((called[flags].mean() + (~called[~flags]).mean()) / 2)


def cross_fitted_calls(scores: FloatArray, member: BoolArray, fold: IntArray) -> BoolArray | None:
    """Call each record member or not by the threshold that was best on the records of the other folds.

    Args:
        scores, member, fold: shape (n,); folds must not split a patient.

    Returns:
        Shape (n,); None when the records outside some fold, or all records, lack a class.
    """
    called = np.zeros(scores.size, dtype=np.bool_)
    folds = np.unique(fold)
    for here in folds:
        judged = fold == here
        threshold = best_threshold(scores[~judged], member[~judged])
        if math.isnan(threshold):
            return None
        called[judged] = scores[judged] >= threshold
    return called if folds.size > 1 else None


def _midpoints(descending: FloatArray) -> FloatArray:
    # Midpoints of neighbouring scores; beside an infinite score the finite neighbour itself separates them.
    upper, lower = descending[:-1], descending[1:]
    with np.errstate(invalid="ignore"):
        middle = lower + (upper - lower) / 2
    # Rounding may put the midpoint on the lower score, which would let that record pass.
    separates = np.isfinite(middle) & (middle > lower)
    return np.where(separates, middle, upper)


def _checked(scores: ArrayLike, member: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, flags = as_scores(scores), as_flags(member)
    same_length(scores=values, member=flags)
    return values, flags
