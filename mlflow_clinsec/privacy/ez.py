"""Error zone: what fine-tuning did to the tokens that the model still gets wrong.

Source: Ilic 2026 (arXiv 2601.12104, sections 3.3 and 3.4). With d = logp - logp_ref per token and E the tokens that
are not the target's likeliest, the score is P / N: the sum of the positive d in E over the sum of the negative ones.

Departures: memorised text has few errors or none, and then P / N is 0 / 0; the paper calls such a text a member,
its authors' code gives it 0, the score of a clear non-member. Here the other tokens count too, with a weight of 5%,
so that such a text still has an ordered score, and a thousandth of a nat on both sums keeps the ratio finite. The
logarithm of the ratio is reported, which keeps the order. Where a model does not show its likeliest token, a token
of probability under one half stands for an error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import token_log_ratio
from mlflow_clinsec.targets.protocols import Target, TokenStats

ELSEWHERE = 0.05
"""Weight of tokens that the target gets right."""
_LEAST = 1e-3  # nats; far below any real sum
_ROUNDING = 1e-4  # nats by which the likeliest token's log-probability may miss its own


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """log(P / N) over the error zone, shape (n_records,); NaN for a text without tokens."""
    return error_zone(*token_log_ratio(data, target))


def error_zone(stats: TokenStats, ratio: FloatArray) -> FloatArray:
    """log(P / N) of any token log-ratio, shape (n_texts,)."""
    weights = np.where(errors(stats), 1.0, ELSEWHERE)
    return np.array([_log_odds(row) for row in stats.rows(weights * ratio)])


def errors(stats: TokenStats) -> NDArray[np.bool_]:
    """Whether each token is not the target's likeliest, shape (n_tokens,)."""
    likeliest = math.log(0.5) if stats.top is None else stats.top - _ROUNDING
    return stats.logp < likeliest


def _log_odds(shifts: FloatArray) -> float:
    if shifts.size == 0:
        return float("nan")
    up, down = np.maximum(shifts, 0).sum(), np.maximum(-shifts, 0).sum()
    return math.log((up + _LEAST) / (down + _LEAST))


EZ = membership_attack(
    "ez",
    "gains over losses where the target errs",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source="Ilic 2026, arXiv 2601.12104, sections 3.3 and 3.4",
    formula="log(P / N), P and N the sums of positive and negative d over tokens that the target gets wrong",
    departures="other tokens count with a weight of 5%, so that text without errors still has an ordered score",
)
