"""How far included canaries stand out among those that were not: ranks, exposure and an exact test.

Source: Carlini 2019 (arXiv 1802.08232, section 4): exposure = log2 |R| - log2 rank. Departure: R is not the space of
all secrets but the canaries that the coins left out, with the canary itself, so that neither enumeration nor a fit of
the loss's distribution is needed; exposure then cannot exceed log2 (left out + 1).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from mlflow_clinsec.results import Estimate

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def ranks(scores: FloatArray, included: BoolArray) -> FloatArray:
    """Rank, from 1, of each included canary among those left out and itself, shape (n_included,).

    Equal scores count against the canary. Rank / (left out + 1) is an exact p-value: were the canary not
    memorised, every rank would be as likely as any other.

    Args:
        scores: shape (m,), no NaN, larger means included.
        included: shape (m,).
    """
    left_out = np.sort(scores[~included])
    below = np.searchsorted(left_out, scores[included], side="left")
    return (1 + left_out.size - below).astype(np.float64)


def exposures(scores: FloatArray, included: BoolArray) -> FloatArray:
    """Exposure of each included canary in bits, shape (n_included,), from 0 to log2 (left out + 1)."""
    return math.log2(int((~included).sum()) + 1) - np.log2(ranks(scores, included))


def exposure_at_chance(n_left_out: int) -> float:
    """Mean exposure in bits where nothing was memorised; about 1.44, since the logarithm favours low ranks."""
    return math.log2(n_left_out + 1) - float(np.log2(np.arange(1, n_left_out + 2)).mean())


def mean_exposure(found: FloatArray) -> Estimate:
    """Mean over included canaries with Student's interval, the canaries left out being taken as given."""
    n = found.size
    reach = float(t.ppf(0.975, n - 1) * found.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    value = float(found.mean())
    return Estimate(value, value - reach, value + reach, n, method="t, given the canaries left out")


def coin_flip_p_value(scores: FloatArray, included: BoolArray) -> float:
    """One-sided p-value of the included canaries' rank sum, exact under independent fair coins, ties allowed.

    Under the null every canary's coin is independent of its score, so the centred rank sum is a sum of independent
    signs; its distribution is built up canary by canary. Twice the mid-ranks are whole numbers.
    """
    weights = np.rint(2 * rankdata(scores)).astype(np.int64) - (scores.size + 1)
    observed = int(np.where(included, weights, -weights).sum())
    mass = np.ones(1)
    for weight in np.abs(weights):  # mass[u]: probability that the canaries so far give u towards the sum
        mass = 0.5 * (np.r_[mass, np.zeros(weight)] + np.r_[np.zeros(weight), mass])
    least = (observed + int(np.abs(weights).sum())) // 2  # the sum of signs is 2 u - total
    return min(float(mass[least:].sum()), 1.0)
