"""Calibrated log-ratios: the target's advantage beyond what any text of this kind gains from fine-tuning.

Ours, after difficulty calibration (Watson 2022, arXiv 2111.08440), which takes a reference's loss as what to expect.
Fine-tuning on the domain makes its words likelier in members and non-members alike, and hard texts gain most. Two
expectations are therefore taken off d = logp - logp_ref, both learned from the audited records without asking which of
them are members:

- per token, the mean d of the same token in other patients' records, shrunk towards the mean over all tokens;
- per text, what a text of this difficulty (L_ref and its square) and length (log n) scores.

What is left is scored as ``log_ratio`` does, by its mean, or as ``ez`` does, in the error zone. Since no membership
flag is used, the records of both sides are treated alike, and noise stays noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.ez import error_zone
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import token_log_ratio
from mlflow_clinsec.targets.protocols import Target, TokenStats

_PRIOR = 5.0
"""How many sightings of a token the mean over all tokens is worth."""
_FEWEST = 40
"""Records that four coefficients per text are learned from."""


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Mean of d beyond both expectations, in nats per token, shape (n_records,).

    Raises:
        NotApplicableError: too few records to learn an expectation from.
    """
    stats, ratio = token_log_ratio(data, target)
    return beyond_difficulty(stats.text_means(beyond_token(stats, ratio, data.group)), stats, ratio)


def score_error_zone(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """log(P / N) of d beyond its token's expectation, beyond what the text's difficulty tells, shape (n_records,).

    Raises:
        NotApplicableError: too few records to learn an expectation from.
    """
    stats, ratio = token_log_ratio(data, target)
    return beyond_difficulty(error_zone(stats, beyond_token(stats, ratio, data.group)), stats, ratio)


def beyond_token(stats: TokenStats, ratio: FloatArray, group: NDArray[np.int64]) -> FloatArray:
    """d less the mean d of the same token in other patients' records, shape (n_tokens,).

    Where the model does not tell its tokens apart, d as it stands.
    """
    if stats.token_ids is None or ratio.size == 0:
        return ratio
    known, token = np.unique(stats.token_ids, return_inverse=True)
    _, own = np.unique(np.repeat(group, stats.counts) * len(known) + token, return_inverse=True)
    others_sum = np.bincount(token, ratio)[token] - np.bincount(own, ratio)[own]
    others_count = np.bincount(token)[token] - np.bincount(own)[own]
    return ratio - (others_sum + _PRIOR * ratio.mean()) / (others_count + _PRIOR)


def beyond_difficulty(scores: FloatArray, stats: TokenStats, ratio: FloatArray) -> FloatArray:
    """Scores less what a least-squares fit on L_ref, its square and log n expects, shape (n_texts,).

    Raises:
        NotApplicableError: fewer than 40 texts with a score.
    """
    known = np.isfinite(scores)
    if known.sum() < _FEWEST:
        raise NotApplicableError(
            f"needs at least {_FEWEST} records to learn what a text of each difficulty gains; there are {known.sum()}"
        )
    difficulty = stats.text_means(ratio) + stats.nll()  # L_ref
    columns = _standardised(np.column_stack([difficulty, difficulty**2, np.log(np.maximum(stats.counts, 1))]), known)
    table = np.column_stack([np.ones(len(scores)), columns])
    weights = np.linalg.lstsq(table[known], scores[known], rcond=None)[0]
    return scores - table @ weights


def _standardised(table: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    sd = table[known].std(axis=0)
    return (table - table[known].mean(axis=0)) / np.where(sd > 0, sd, 1.0)


_SOURCE = "this project, after Watson 2022, arXiv 2111.08440"
_DEPARTURES = "what to expect is learned from the audited records, without their membership, per token and per text"

LOG_RATIO_CALIBRATED = membership_attack(
    "log_ratio_calibrated",
    "token log-ratio beyond what such tokens and texts gain anyway",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source=_SOURCE,
    formula="mean(d - E[d | token]) - E[. | L_ref, L_ref^2, log n]",
    departures=_DEPARTURES,
)

EZ_CALIBRATED = membership_attack(
    "ez_calibrated",
    "error zone beyond what such tokens and texts gain anyway",
    score_error_zone,
    access="log-probability",
    requires=("scorer", "reference"),
    source=f"{_SOURCE}; Ilic 2026, arXiv 2601.12104",
    formula="log(P / N) of d - E[d | token], less E[. | L_ref, L_ref^2, log n]",
    departures=_DEPARTURES,
)
