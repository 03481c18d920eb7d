"""Lower bounds on the epsilon of differential privacy, from how well membership was told.

Two methods, both one-sided: with the stated confidence the training was not (epsilon, delta)-private for any
smaller epsilon. Zero says nothing was shown.

:func:`epsilon_lower` is for members and non-members of a random split: a private training bounds TPR by
exp(epsilon) FPR + delta, and TNR by exp(epsilon) FNR + delta (Jagielski 2020, arXiv 2006.07709, section 3; Nasr 2021,
arXiv 2101.04535, section 4). Rates are bounded by Clopper-Pearson. The threshold is chosen on a quarter of the patients
and judged on the others: choosing and judging on the same ones makes the bound positive on pure noise. A patient is
one unit, the mean of the records' scores, because notes of one patient are not independent. Departure: the sources
train many models; here one model is judged on many patients, which holds when nothing leaks, and otherwise takes
patients' scores as independent given the model.

:func:`one_run_epsilon` is for canaries that were each put into the training by a coin flip of their own (Steinke,
Nasr and Jagielski 2023, arXiv 2305.08846, Theorem 5.2) and is exact for one training run. Departure: several numbers
of guesses are tried, each at its share of the error (Bonferroni).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, expit
from scipy.stats import beta, binom

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import BoolArray, FloatArray, as_flags, as_scores, in_unit_interval, same_length
from mlflow_clinsec.stats.bootstrap import group_means
from mlflow_clinsec.stats.folds import group_folds

CHOOSING_FOLDS = 4
"""One fold of so many chooses the threshold. In simulations a quarter gave larger bounds than a half did."""

FEWEST_PER_SIDE = CHOOSING_FOLDS
"""Members and non-members below which a fold could lack one of them."""

GUESS_SHARES = (0.1, 0.25, 0.5, 1.0)
"""Shares of the canaries that are guessed at, half as included and half as not; fixed before any score is seen."""

_MOST_EPSILON = 100.0  # beyond what any number of canaries can show
_BISECTIONS = 60


def epsilon_lower(
    scores: ArrayLike,
    member: ArrayLike,
    group: ArrayLike,
    rng: np.random.Generator,
    *,
    delta: float = 0.0,
    level: float = 0.95,
) -> Estimate:
    """Lower bound on epsilon from a random split into members and non-members.

    Args:
        scores: shape (n,), larger means member; NaN records are left out.
        member: shape (n,), booleans.
        group: shape (n,), patient of each record; a patient holds members or non-members, not both.
        rng: deals patients into the quarter that chooses the threshold and those that are judged.
        delta: the delta at which epsilon is bounded.
        level: confidence that epsilon is not smaller.

    Returns:
        The bound, at least 0, as value and lower end; the interval is open above. ``n`` counts judged patients.
        Undefined with fewer than four scored patients on a side.

    Raises:
        DataError: shapes differ, a patient is on both sides, delta or level out of range.
    """
    _check_level(delta, level)
    values, flags, _ = group_means(scores, member, group)
    values, flags = values[~np.isnan(values)], flags[~np.isnan(values)]
    smaller = int(min(flags.sum(), (~flags).sum()))
    if smaller < FEWEST_PER_SIDE:
        return Estimate.undefined(f"needs {FEWEST_PER_SIDE} scored patients on each side, got {smaller}", smaller)
    choosing = group_folds(np.arange(values.size), CHOOSING_FOLDS, rng, flags) == 0
    threshold = _best_threshold(values[choosing], flags[choosing], delta, level)
    judged, truth = values[~choosing] >= threshold, flags[~choosing]
    hits, alarms = int(judged[truth].sum()), int(judged[~truth].sum())
    bound = epsilon_from_counts(hits, int(truth.sum()), alarms, int((~truth).sum()), delta=delta, level=level)
    return _one_sided(float(bound), truth.size, level, "clopper-pearson, threshold from other patients")


def epsilon_from_counts(
    hits: ArrayLike,
    n_members: int,
    alarms: ArrayLike,
    n_nonmembers: int,
    *,
    delta: float = 0.0,
    level: float = 0.95,
) -> FloatArray:
    """The bound that counts at one threshold, fixed in advance, show; arrays of counts give arrays of bounds.

    The error 1 - level is halved between the lower bound of TPR and the upper bound of FPR. TNR and FNR are their
    complements, so that both inequalities hold at once and the larger bound may be taken.

    Args:
        hits: members called members, of ``n_members``.
        alarms: non-members called members, of ``n_nonmembers``.

    Raises:
        DataError: delta or level out of range.
    """
    _check_level(delta, level)
    return np.maximum(_signed_bound(np.asarray(hits), n_members, np.asarray(alarms), n_nonmembers, delta, level), 0.0)


def one_run_epsilon(
    scores: ArrayLike, included: ArrayLike, rng: np.random.Generator, *, delta: float = 0.0, level: float = 0.95
) -> Estimate:
    """Lower bound on epsilon from canaries that independent fair coins put into one training run.

    Args:
        scores: shape (m,), larger means included; canaries with NaN are never guessed at.
        included: shape (m,), booleans.
        rng: breaks ties, so that the order of the canaries cannot help the guesses.
        delta: the delta at which epsilon is bounded.
        level: confidence that epsilon is not smaller.

    Returns:
        As :func:`epsilon_lower`; ``n`` counts canaries. Undefined with fewer than two scored canaries.

    Raises:
        DataError: shapes differ, delta or level out of range.
    """
    _check_level(delta, level)
    values, flags = as_scores(scores, allow_nan=True), as_flags(included, "included")
    same_length(scores=values, included=flags)
    scored = np.flatnonzero(~np.isnan(values))
    if scored.size < 2:
        return Estimate.undefined(f"needs two scored canaries, got {scored.size}", int(scored.size))
    ranked = scored[np.lexsort((rng.random(scored.size), values[scored]))]
    sides = sorted({max(1, int(share * ranked.size / 2)) for share in GUESS_SHARES})
    error = (1 - level) / len(sides)
    bounds = [
        one_run_bound(flags.size, 2 * k, int(flags[ranked[-k:]].sum() + (~flags[ranked[:k]]).sum()), delta, error)
        for k in sides
    ]
    return _one_sided(max(bounds), flags.size, level, f"one run, best of {len(sides)} numbers of guesses")


def one_run_bound(canaries: int, guesses: int, correct: int, delta: float, error: float) -> float:
    """Largest epsilon that so many correct guesses rule out at the given error; 0 where they rule out none."""
    if one_run_p_value(canaries, guesses, correct, 0.0, delta) >= error:
        return 0.0
    low, high = 0.0, _MOST_EPSILON
    for _ in range(_BISECTIONS):  # below an error of one half the p-value rises with epsilon
        middle = (low + high) / 2
        if one_run_p_value(canaries, guesses, correct, middle, delta) < error:
            low = middle
        else:
            high = middle
    return low


def one_run_p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Probability bound of at least ``correct`` right among ``guesses`` under (epsilon, delta)-privacy.

    P[B >= v] + 2 m delta max over i of P[v > B >= v - i] / i, with B binomial of r guesses at the accuracy
    exp(epsilon) / (1 + exp(epsilon)) of randomised response (arXiv 2305.08846, Theorem 5.2 and appendix D).
    """
    accuracy = float(expit(epsilon))
    tail = float(bdtrc(correct - 1, guesses, accuracy))  # binom.sf, many times faster
    if delta == 0 or correct == 0:
        return min(tail, 1.0)
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, accuracy))
    slope = float((below / np.arange(1, correct + 1)).max())
    return min(tail + 2 * canaries * delta * slope, 1.0)


def _best_threshold(scores: FloatArray, member: BoolArray, delta: float, level: float) -> float:
    """The score (member when at or above it) whose counts on these patients give the largest bound."""
    cuts = np.unique(scores)
    members, others = np.sort(scores[member]), np.sort(scores[~member])
    hits = members.size - np.searchsorted(members, cuts)
    alarms = others.size - np.searchsorted(others, cuts)
    return float(cuts[_signed_bound(hits, members.size, alarms, others.size, delta, level).argmax()])


def _signed_bound(
    hits: ArrayLike, n_members: int, alarms: ArrayLike, n_nonmembers: int, delta: float, level: float
) -> FloatArray:
    """The larger of the two logarithms, before negative ones are cut off at 0."""
    tail = (1 - level) / 2
    hits, alarms = np.asarray(hits, dtype=np.float64), np.asarray(alarms, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        least_tpr = np.where(hits > 0, beta.ppf(tail, hits, n_members - hits + 1), 0.0)
        most_fpr = np.where(alarms < n_nonmembers, beta.ppf(1 - tail, alarms + 1, n_nonmembers - alarms), 1.0)
        from_tpr = np.log(np.maximum(least_tpr - delta, 0.0)) - np.log(most_fpr)
        from_tnr = np.log(np.maximum(1 - most_fpr - delta, 0.0)) - np.log1p(-least_tpr)
    return np.maximum(from_tpr, from_tnr)


def _one_sided(bound: float, n: int, level: float, method: str) -> Estimate:
    return Estimate(bound, bound, math.inf, n, level, method)


def _check_level(delta: float, level: float) -> None:
    in_unit_interval(level, "level")
    if not 0.0 <= delta < 1.0:
        raise DataError(f"delta must lie in [0, 1), got {delta}")
