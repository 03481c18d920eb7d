"""The attacker who holds only a rewording: what the realistic adversary of arXiv 2510.18674 can do.

The record itself is never scored; only rewrites of it are, as an outsider who knows a patient's story but not the
note's wording would. The mean over rewrites is the cautious attacker, the least loss the lucky one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import rewrite_losses
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """-mean L(x~), shape (n_records,); NaN for records without an accepted rewrite."""
    assert data.paraphrases is not None
    return -data.paraphrases.mean_by_record(rewrite_losses(data, target), len(data))


def score_min(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """-min L(x~), shape (n_records,)."""
    assert data.paraphrases is not None
    least = np.full(len(data), np.inf)
    np.minimum.at(least, data.paraphrases.record, rewrite_losses(data, target))
    return np.where(np.isfinite(least), -least, np.nan)


PARAPHRASE_ONLY = membership_attack(
    "paraphrase_only",
    "loss of rewordings alone",
    score,
    access="log-probability",
    requires=("scorer",),
    source="arXiv 2510.18674",
    formula="-mean L(x~)",
    needs=("paraphrases",),
    new_text=True,
    departures="the clinical paper's score, paraphraser and number of paraphrases are not known",
)

PARAPHRASE_ONLY_MIN = membership_attack(
    "paraphrase_only_min",
    "least loss of rewordings alone",
    score_min,
    access="log-probability",
    requires=("scorer",),
    source="arXiv 2510.18674",
    formula="-min L(x~)",
    needs=("paraphrases",),
    new_text=True,
    departures="the clinical paper's score, paraphraser and number of paraphrases are not known",
)
