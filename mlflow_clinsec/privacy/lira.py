"""Offline LiRA: how far the target's confidence lies above what models that never saw the record give it.

Source: Carlini 2022 (arXiv 2112.03570, the offline attack): a normal distribution is fitted to the logit-scaled
confidence of each record over reference ("out") models, and the target's is held against it, one-sided.

Departures. The score is the standardised distance itself; the paper's probability is a function of it that rounds to
1. Each record's variance is shrunk towards the one pooled over records, as if ``prior_models`` further models had
been seen, where the paper switches from one pooled variance to each record's own at 64 models: with a handful of
models a record's own variance is mostly noise (on 640 real notes and four references an AUC of 0.87 without and 0.98
with shrinkage; arXiv 2603.11799 gives it a prior). For language models the confidence is exp(-L), the geometric mean
of the tokens' probabilities, whose logit -log(exp(L) - 1) is near -L for unlikely text and keeps growing as memorised
text's L nears 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.label_view import true_label_logit
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import reference_losses, references_stats, target_stats
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target

_LEAST_LOSS = 1e-9  # nats; keeps the logit of a text that is certain finite


@dataclass(frozen=True)
class LiraOptions(MembershipOptions):
    """Settings of LiRA.

    Attributes:
        prior_models: reference models that the variance pooled over records counts for.
    """

    prior_models: float = setting(16.0, low=0.0, high=1000.0)


def score(data: AuditData, target: Target, options: LiraOptions, rng: np.random.Generator) -> FloatArray:
    """Standardised distance of a text's logit from its references', shape (n_records,).

    Raises:
        NotApplicableError: fewer than two reference models.
    """
    stats = target_stats(data, target)
    references = reference_losses(stats, references_stats(data, target))
    return standardised(loss_logit(stats.nll()), loss_logit(references), options.prior_models)


def score_classifier(data: AuditData, target: Target, options: LiraOptions, rng: np.random.Generator) -> FloatArray:
    """Standardised distance of the true label's logit from its references', shape (n_records,).

    Raises:
        NotApplicableError: fewer than two reference models.
    """
    references = np.stack([true_label_logit(data, target, reference) for reference in target.label_references])
    return standardised(true_label_logit(data, target, target.label_scorer), references, options.prior_models)


def loss_logit(losses: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of p = exp(-L), L in nats per token."""
    return -np.log(np.expm1(np.maximum(losses, _LEAST_LOSS)))


def standardised(own: FloatArray, references: FloatArray, prior_models: float) -> FloatArray:
    """(own - mean) / sd over reference models, the variance shrunk towards the pooled one.

    Args:
        own: shape (n,), the target's values.
        references: shape (k, n), the reference models'.

    Returns:
        Shape (n,); NaN where a value is, or where the references do not vary at all.

    Raises:
        NotApplicableError: k is below 2.
    """
    count = len(references)
    if count < 2:
        raise NotApplicableError(
            "needs at least two reference models, between which a record's score varies; name them under "
            "privacy.reference"
        )
    means = references.mean(axis=0)
    squares = ((references - means) ** 2).sum(axis=0)
    pooled = np.nanmean(squares) / (count - 1) if np.isfinite(squares).any() else np.nan
    variance = (squares + prior_models * pooled) / (count - 1 + prior_models)
    return np.where(variance > 0, (own - means) / np.sqrt(np.where(variance > 0, variance, 1.0)), np.nan)


_SOURCE = "Carlini 2022, arXiv 2112.03570, offline attack"
_DEPARTURES = "the distance itself, not its probability; variances shrunk towards the pooled one"

LIRA = membership_attack(
    "lira",
    "likelihood ratio over several reference models",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source=_SOURCE,
    formula="(phi(x) - mean phi_ref(x)) / sd phi_ref(x), phi = log(p / (1 - p)), p = exp(-L)",
    options=LiraOptions(),
    default=False,
    departures=f"{_DEPARTURES}; a text's confidence is the geometric mean of its tokens' probabilities",
)

LIRA_CLASSIFIER = membership_attack(
    "lira_classifier",
    "likelihood ratio over several reference classifiers",
    score_classifier,
    access="probability",
    requires=("label_scorer", "label_reference"),
    source=_SOURCE,
    formula="(phi(x) - mean phi_ref(x)) / sd phi_ref(x), phi = log(p_y / (1 - p_y))",
    needs=("labels",),
    options=LiraOptions(),
    default=False,
    departures=_DEPARTURES,
)
