"""The paraphrase attack: a member's own wording is likelier than a rewording of the same facts.

Source: arXiv 2510.18674 (a paraphrasing perturbation of clinical text; its exact score, paraphraser and number of
paraphrases are not known) in the form of the neighbourhood attack (Mattern 2023, arXiv 2305.18462, section 3).

Departure: the z-score's spread is shrunk towards the spread pooled over all records, as if one more rewrite had
been seen; with a handful of rewrites a record's own spread is mostly noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import rewrite_losses, target_stats
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """mean L(x~) - L(x) in nats per token, shape (n_records,); NaN for records without an accepted rewrite."""
    assert data.paraphrases is not None
    rewritten = data.paraphrases.mean_by_record(rewrite_losses(data, target), len(data))
    return rewritten - target_stats(data, target).nll()


def score_z(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """(mean L(x~) - L(x)) / sd L(x~), shape (n_records,)."""
    assert data.paraphrases is not None
    losses = rewrite_losses(data, target)
    gap = data.paraphrases.mean_by_record(losses, len(data)) - target_stats(data, target).nll()
    return gap / shrunken_spread(data.paraphrases, losses, len(data))


def shrunken_spread(rewrites: ParaphraseSet, losses: FloatArray, n_records: int) -> FloatArray:
    """Standard deviation of each record's rewrite losses, shrunk towards the pooled one, shape (n_records,).

    Raises no error for records with one rewrite (they get the pooled spread); NaN only if nothing varies at all.
    """
    means = rewrites.mean_by_record(losses, n_records)
    squares = np.bincount(rewrites.record, weights=(losses - means[rewrites.record]) ** 2, minlength=n_records)
    counts = np.bincount(rewrites.record, minlength=n_records)
    freedom = np.maximum(counts - 1, 0)
    pooled = squares.sum() / freedom.sum() if freedom.sum() else 0.0
    variance = (squares + pooled) / (freedom + 1)
    return np.where(variance > 0, np.sqrt(variance), np.nan)


PARAPHRASE_GAP = membership_attack(
    "paraphrase_gap",
    "loss of rewordings against the record's",
    score,
    access="log-probability",
    requires=("scorer",),
    source="arXiv 2510.18674; Mattern 2023, arXiv 2305.18462, section 3",
    formula="mean L(x~) - L(x)",
    needs=("paraphrases",),
    new_text=True,
    departures="the clinical paper's score, paraphraser and number of paraphrases are not known",
)

PARAPHRASE_GAP_Z = membership_attack(
    "paraphrase_gap_z",
    "loss of rewordings against the record's, in standard deviations",
    score_z,
    access="log-probability",
    requires=("scorer",),
    source="arXiv 2510.18674; Mattern 2023, arXiv 2305.18462, section 3",
    formula="(mean L(x~) - L(x)) / sd L(x~)",
    needs=("paraphrases",),
    new_text=True,
    departures="as paraphrase_gap; the spread is shrunk towards the spread over all records",
)
