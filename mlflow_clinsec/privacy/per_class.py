"""Class-dependent thresholds: a record's confidence against what its own class usually gets.

Source: Song and Mittal 2021 (arXiv 2003.10595, section 3.2): each class gets a threshold of its own, because a model
is surer of some classes than of others. One score stands for all thresholds: the true label's logit, standardised
within its class.

Departures: mean and spread of a class come from non-members of other patients (cross-fitted), where the paper sets
its thresholds on a shadow model; a class with fewer than ``LEAST`` such records gets those of all classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.confidence import label_columns
from mlflow_clinsec.privacy.cross_fit import BoolArray, judged_and_public
from mlflow_clinsec.privacy.label_view import true_label_logit
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.targets.protocols import Target

LEAST = 10
"""Public records of a class below which its mean and spread are mostly noise."""


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """(logit p_y - mean of its class) / sd of its class, shape (n_records,); NaN where the public ones do not vary."""
    logits, classes = true_label_logit(data, target, target.label_scorer), label_columns(data, target)
    scores = np.full(len(data), np.nan)
    for judged, public in judged_and_public(data, rng):
        for label in np.unique(classes[judged]):
            rows = judged & (classes == label)
            scores[rows] = _standardised(logits, rows, public & (classes == label), public)
    return scores


def _standardised(logits: FloatArray, rows: BoolArray, own: BoolArray, public: BoolArray) -> FloatArray:
    like = logits[own] if own.sum() >= LEAST else logits[public]
    spread = like.std(ddof=1) if like.size > 1 else 0.0
    return (logits[rows] - like.mean()) / spread if spread > 0 else np.full(rows.sum(), np.nan)


PER_CLASS = membership_attack(
    "per_class",
    "confidence against what its class usually gets",
    score,
    access="probability",
    requires=("label_scorer",),
    source="Song and Mittal 2021, arXiv 2003.10595, section 3.2",
    formula="(phi(x) - mean of phi in class y) / sd of phi in class y, phi = log(p(y) / (1 - p(y)))",
    needs=("labels",),
    departures="classes are standardised on non-members of other patients, cross-fitted, not on a shadow model",
)
