"""Paraphrase variation: how much likelier a record's own wording is than rewordings, beyond what a reference finds.

Source: Fu 2024 (arXiv 2311.06062, section 4), SPV-MIA: a member sits at a local maximum of the model's
probability, so that P(x) exceeds the mean over rewordings x~; a reference model that never saw the record tells how
much of that the wording alone explains. The paper's reference is tuned on text that the target itself wrote; the
command ``self-prompt-reference`` builds one. ``spv_target`` leaves the reference out.

Departures: rewordings are this audit's accepted paraphrases, not fillings of a masked language model; P = exp(-L) is
a text's probability per token, so that long texts do not vanish; several references are averaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import (
    reference_losses,
    references_stats,
    rewrite_references_stats,
    rewrite_stats,
    target_stats,
)
from mlflow_clinsec.targets.protocols import Target


def score_target(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """P(x) - mean P(x~), shape (n_records,); NaN for records without an accepted rewrite."""
    return _variation(data, target_stats(data, target).nll(), rewrite_stats(data, target).nll())


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """[P(x) - mean P(x~)] - [P_ref(x) - mean P_ref(x~)], shape (n_records,)."""
    stats, rewrites = target_stats(data, target), rewrite_stats(data, target)
    records = reference_losses(stats, references_stats(data, target))
    rewritten = reference_losses(rewrites, rewrite_references_stats(data, target))
    explained = [_variation(data, *losses) for losses in zip(records, rewritten, strict=True)]
    return _variation(data, stats.nll(), rewrites.nll()) - np.mean(explained, axis=0)


def _variation(data: AuditData, records: FloatArray, rewrites: FloatArray) -> FloatArray:
    """P of each record minus the mean P of its rewrites, from losses in nats per token."""
    assert data.paraphrases is not None
    return np.exp(-records) - data.paraphrases.mean_by_record(np.exp(-rewrites), len(data))


_SOURCE = "Fu 2024, arXiv 2311.06062, section 4"
_DEPARTURES = "clinical paraphrases instead of mask fillings; P per token"

SPV_TARGET = membership_attack(
    "spv_target",
    "likelihood of the record above its rewordings'",
    score_target,
    access="log-probability",
    requires=("scorer",),
    source=_SOURCE,
    formula="P(x) - mean P(x~), P = exp(-L)",
    needs=("paraphrases",),
    new_text=True,
    default=False,
    departures=f"{_DEPARTURES}; no reference",
)

SPV = membership_attack(
    "spv",
    "likelihood above rewordings, beyond a reference's",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source=_SOURCE,
    formula="[P(x) - mean P(x~)] - [P_ref(x) - mean P_ref(x~)], P = exp(-L)",
    needs=("paraphrases",),
    new_text=True,
    default=False,
    departures=_DEPARTURES,
)
