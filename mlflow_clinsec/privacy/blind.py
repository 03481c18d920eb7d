"""The blind baseline: tells members from non-members without ever asking the model.

Source: Das 2024 (arXiv 2406.16201, section 4). Where it succeeds, members and non-members differ in themselves, and
no attack's success says anything about the model. Words, dates, layout and sizes
(:mod:`mlflow_clinsec.privacy.blind_features`), logistic regression, cross-fitted by patient: no record is judged by a
classifier that saw its patient.

Cross-validation leans below chance when nothing is to be learnt: where a fold holds more members, the others hold
fewer. Folds are therefore balanced by class, classes weigh alike in each fit, and scores are ranked within their fold,
because each fold's classifier has its own offset.

Cross-fitted scores are not independent given the classifiers: each pair of patients meets twice, once as teacher and
pupil and once the other way round. On noise the AUC spreads 1.34 times as wide as resampling finished scores can tell;
where each pair counts alike it would be sqrt(2) times. Intervals are widened by that, and no permutation p-value is
given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.blind_features import blind_features
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.results import AttackResult, Estimate
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.targets.protocols import Target

FOLDS = 5
SPREAD = math.sqrt(2)
"""How much wider than resampling tells a cross-fitted figure may spread."""


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Cross-fitted rank of being a member, in (0, 1), shape (n_records,)."""
    assert data.member is not None
    return cross_fitted(data.texts, data.member, data.group, rng)


def cross_fitted(
    texts: Sequence[str], member: NDArray[np.bool_], group: NDArray[np.int64], rng: np.random.Generator
) -> FloatArray:
    """Each record's rank within its fold by a classifier fitted on the other folds' patients."""
    features = blind_features(texts)
    folds = group_folds(group, min(FOLDS, np.unique(group).size), rng, strata=member)
    scores = np.full(len(texts), np.nan)
    for fold in np.unique(folds):
        judged = folds == fold
        if len(np.unique(member[~judged])) == 2:
            decision = _fit(features[~judged], member[~judged]).decision_function(features[judged])
            scores[judged] = rankdata(decision) / (judged.sum() + 1)
    return scores


def _fit(features: sparse.csr_matrix, member: NDArray[np.bool_]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(features, member)


def widened(estimate: Estimate) -> Estimate:
    """Bounds ``SPREAD`` times as far from the value, within [0, 1]."""
    low = max(0.0, estimate.value - SPREAD * (estimate.value - estimate.low))
    high = min(1.0, estimate.value + SPREAD * (estimate.high - estimate.value))
    return replace(estimate, low=low, high=high, method=f"{estimate.method}, widened for cross-fitting")


def _run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    result = _JUDGED.run(attack, data, target, rng)
    read = result.at_level
    return replace(
        result,
        estimates={name: widened(e) if e.is_defined else e for name, e in result.estimates.items()},
        at_level=None if read is None else lambda metric, level: widened(read(metric, level)),
    )


_JUDGED = membership_attack(
    "blind",
    "words, dates, layout and length alone, without the model",
    score,
    access="none",
    requires=(),
    source="Das 2024, arXiv 2406.16201, section 4",
    formula="cross-fitted rank of P(member | words, dates, layout, sizes)",
    judged=False,
    departures="scores are ranked within their fold; intervals allow for cross-fitting",
)
BLIND = replace(_JUDGED, run=_run)
