"""Min-K% and Min-K%++: members have no very surprising tokens.

Sources: Shi 2024 (arXiv 2310.16789, section 3): mean log-probability of the k% least likely tokens. Zhang 2025
(arXiv 2404.02936, section 3): the same over (logp - mu) / sigma, mu and sigma being the mean and the standard
deviation of log-probability under the model's own next-token distribution.

At least one token is always kept: a text of under 1/k tokens has a score, not a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import target_stats
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target, TokenStats

_LEAST_SIGMA = 1e-6  # nats; a next-token distribution with all its mass on one token has sigma 0


@dataclass(frozen=True)
class MinKOptions(MembershipOptions):
    """Attributes:
    k: share of tokens kept, the least likely first.
    """

    k: float = setting(0.2, low=0.001, high=1.0)


def lowest_share_mean(stats: TokenStats, values: FloatArray, k: float) -> FloatArray:
    """Mean of each text's lowest k share of values, at least one, shape (n_texts,); NaN for a text without tokens."""
    return np.array([_lowest_mean(row, k) for row in stats.rows(values)])


def _lowest_mean(row: FloatArray, k: float) -> float:
    if len(row) == 0:
        return float("nan")
    kept = max(1, int(len(row) * k))
    return float(np.partition(row, kept - 1)[:kept].mean())


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Mean of the lowest k% token log-probabilities, shape (n_records,)."""
    stats = target_stats(data, target)
    return lowest_share_mean(stats, stats.logp, options.k)


def score_plus_plus(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Mean of the lowest k% standardised token log-probabilities, shape (n_records,)."""
    stats = target_stats(data, target)
    if stats.mean is None or stats.std is None:
        raise NotApplicableError("needs the model's whole next-token distribution; it shows log-probabilities only")
    standardised = (stats.logp - stats.mean) / np.maximum(stats.std, _LEAST_SIGMA)
    return lowest_share_mean(stats, standardised, options.k)


MIN_K = membership_attack(
    "min_k",
    "least likely tokens",
    score,
    access="log-probability",
    requires=("scorer",),
    source="Shi 2024, arXiv 2310.16789, section 3",
    formula="mean of the lowest k% of logp",
    options=MinKOptions(),
    departures="at least one token is kept",
)

MIN_K_PLUS_PLUS = membership_attack(
    "min_k_plus_plus",
    "least likely tokens, standardised",
    score_plus_plus,
    access="log-probability",
    requires=("scorer",),
    source="Zhang 2025, arXiv 2404.02936, section 3",
    formula="mean of the lowest k% of (logp - mu) / sigma",
    options=MinKOptions(),
    departures="at least one token is kept",
)
