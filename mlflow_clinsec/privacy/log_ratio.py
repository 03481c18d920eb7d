"""Token log-ratio: the target's advantage over the reference, token by token.

Ours, after Carlini 2021 (arXiv 2012.07805): d = logp - logp_ref per token. The plain score is mean(d). The
studentised score is mean(d) / se(d), se(d) = sd(d) / sqrt(n): memorised text shows a small advantage on most
tokens, text that merely fits the domain a large one on a few.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import token_log_ratio
from mlflow_clinsec.targets.protocols import Target, TokenStats

_LEAST_SD = 1e-6  # nats; far below any real spread, it only keeps constant rows finite


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """mean(d) in nats per token, shape (n_records,)."""
    stats, ratio = token_log_ratio(data, target)
    return stats.text_means(ratio)


def score_studentised(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """mean(d) / se(d), shape (n_records,); NaN for texts of fewer than two tokens."""
    stats, ratio = token_log_ratio(data, target)
    return studentised(stats, ratio)


def studentised(stats: TokenStats, values: FloatArray) -> FloatArray:
    """Each text's mean over its standard error."""
    counts = stats.counts.astype(np.float64)
    means = stats.text_means(values)
    squares = stats.text_means((values - np.repeat(means, stats.counts)) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(squares * counts / (counts - 1))
        scores = means * np.sqrt(counts) / np.maximum(sd, _LEAST_SD)
    return np.where(counts >= 2, scores, np.nan)


LOG_RATIO = membership_attack(
    "log_ratio",
    "token log-ratio against a reference",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source="this project, after Carlini 2021, arXiv 2012.07805",
    formula="mean(d), d = logp - logp_ref per token",
)

LOG_RATIO_STUDENTISED = membership_attack(
    "log_ratio_studentised",
    "token log-ratio over its standard error",
    score_studentised,
    access="log-probability",
    requires=("scorer", "reference"),
    source="this project, after Carlini 2021, arXiv 2012.07805",
    formula="mean(d) / se(d)",
)
