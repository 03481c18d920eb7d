"""How membership attacks read token statistics: always the same call, so that one cached sweep serves them all."""

from __future__ import annotations

from collections.abc import Sequence

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


def references_stats(data: AuditData, target: Target) -> tuple[TokenStats, ...]:
    """Token statistics of the records under each reference model."""
    return tuple(reference.token_stats(data.prompts, data.responses) for reference in target.references)


def reference_losses(stats: TokenStats, references: Sequence[TokenStats]) -> FloatArray:
    """Each reference's NLL of each text in nats per token **of the target**, shape (n_references, n_texts).

    Dividing whole texts' likelihoods by one number of tokens lets a reference with another tokeniser serve.
    """
    return np.stack([_per_target_token(stats, reference) for reference in references])


def _per_target_token(stats: TokenStats, reference: TokenStats) -> FloatArray:
    if np.array_equal(stats.offsets, reference.offsets):
        return reference.nll()
    scale = np.where(stats.counts > 0, reference.counts / np.maximum(stats.counts, 1), np.nan)
    return reference.nll() * scale


def rewrite_stats(data: AuditData, target: Target) -> TokenStats:
    """Token statistics of the accepted rewrites under the audited model."""
    assert target.scorer is not None
    assert data.paraphrases is not None
    return target.scorer.token_stats(data.paraphrases.prompts, data.paraphrases.responses)


def rewrite_references_stats(data: AuditData, target: Target) -> tuple[TokenStats, ...]:
    """Token statistics of the accepted rewrites under each reference model."""
    assert data.paraphrases is not None
    rewrites = data.paraphrases
    return tuple(reference.token_stats(rewrites.prompts, rewrites.responses) for reference in target.references)


def rewrite_losses(data: AuditData, target: Target) -> FloatArray:
    """Mean NLL of each accepted rewrite, shape (n_rewrites,)."""
    return rewrite_stats(data, target).nll()


def token_log_ratio(data: AuditData, target: Target) -> tuple[TokenStats, FloatArray]:
    """The target's statistics and, per token, its log-probability minus the references' mean one, in nats.

    References that tokenise otherwise than the target are left out.

    Raises:
        NotApplicableError: no reference tokenises like the target, so that tokens have no partner; or only means of
            whole texts are known.
    """
    stats, references = target_stats(data, target), references_stats(data, target)
    for known in (stats, *references):
        known.rows(known.logp)  # refuses statistics of which only each text's mean is known
    alike = [reference.logp for reference in references if _tokenised_alike(stats, reference)]
    if not alike:
        raise NotApplicableError(
            "the reference model splits texts into other tokens than the target; "
            "this attack compares token by token (the attack 'reference' compares whole texts)"
        )
    return stats, stats.logp - np.mean(alike, axis=0)


def _tokenised_alike(stats: TokenStats, reference: TokenStats) -> bool:
    alike = np.array_equal(stats.offsets, reference.offsets)
    if alike and stats.token_ids is not None and reference.token_ids is not None:
        alike = np.array_equal(stats.token_ids, reference.token_ids)
    return alike
