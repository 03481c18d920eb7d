"""How membership attacks read token statistics: always the same call, so that one cached sweep serves them all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.targets.protocols import Target, TokenStats

FloatArray = NDArray[np.float64]


def target_stats(data: AuditData, target: Target) -> TokenStats:
    """Token statistics of the records under the audited model."""
    assert target.scorer is not None  # promised by ``requires``
    return target.scorer.token_stats(data.prompts, data.responses)


def reference_stats(data: AuditData, target: Target) -> TokenStats:
    """Token statistics of the records under the reference model."""
    assert target.reference is not None
    return target.reference.token_stats(data.prompts, data.responses)


def rewrite_losses(data: AuditData, target: Target) -> FloatArray:
    """Mean NLL of each accepted rewrite, shape (n_rewrites,)."""
    assert target.scorer is not None
    assert data.paraphrases is not None
    return target.scorer.token_stats(data.paraphrases.prompts, data.paraphrases.responses).nll()


def token_log_ratio(data: AuditData, target: Target) -> tuple[TokenStats, FloatArray]:
    """The target's statistics and, per token, its log-probability minus the reference's, in nats.

    Raises:
        NotApplicableError: the two models do not tokenise alike, so that tokens have no partner.
    """
    stats, reference = target_stats(data, target), reference_stats(data, target)
    alike = np.array_equal(stats.offsets, reference.offsets)
    if alike and stats.token_ids is not None and reference.token_ids is not None:
        alike = np.array_equal(stats.token_ids, reference.token_ids)
    if not alike:
        raise NotApplicableError(
            "the reference model splits texts into other tokens than the target; "
            "this attack compares token by token (the attack 'reference' compares whole texts)"
        )
    return stats, stats.logp - reference.logp
