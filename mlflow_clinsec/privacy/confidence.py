"""Attacks on class probabilities: a classifier is surer of records it was trained on.

Source: Song and Mittal 2021 (arXiv 2003.10595, section 3.2): confidence, entropy and modified entropy. Their
thresholds per class are not used here: AUC and TPR judge the scores as they stand.

Departure: without true labels, confidence is the largest probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.targets.protocols import Target

_SOURCE = "Song and Mittal 2021, arXiv 2003.10595, section 3.2"
_LEAST = 1e-12  # keeps log finite where a probability has rounded to 0


def probabilities(data: AuditData, target: Target) -> FloatArray:
    """Class probabilities of the records, shape (n_records, n_labels)."""
    assert target.label_scorer is not None
    return target.label_scorer.predict_proba(data.texts)


def label_columns(data: AuditData, target: Target) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Column of each record's true label, shape (n_records,).

    Raises:
        DataError: a true label that the model does not have; only the count is told.
    """
    assert data.labels is not None
    assert target.labels is not None
    place = {label: column for column, label in enumerate(target.labels)}
    unknown = sum(label not in place for label in data.labels)
    if unknown:
        raise DataError(f"{unknown} records have a true label that the model does not have; map with data.label_names")
    return np.array([place[label] for label in data.labels], dtype=np.int64)


def confidence(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Probability of the true label, or the largest one without labels, shape (n_records,)."""
    table = probabilities(data, target)
    if data.labels is None:
        return table.max(axis=1)
    return table[np.arange(len(data)), label_columns(data, target)]


def negative_entropy(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Sum of p log p in nats, shape (n_records,)."""
    table = np.clip(probabilities(data, target), _LEAST, 1.0)
    return (table * np.log(table)).sum(axis=1)


def negative_modified_entropy(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """(1 - p_y) log p_y + sum over i != y of p_i log(1 - p_i), in nats, shape (n_records,)."""
    table = np.clip(probabilities(data, target), _LEAST, 1.0 - _LEAST)
    rows, true = np.arange(len(data)), label_columns(data, target)
    right = table[rows, true]
    wrong = table * np.log1p(-table)
    wrong[rows, true] = 0.0
    return (1 - right) * np.log(right) + wrong.sum(axis=1)


CONFIDENCE = membership_attack(
    "confidence",
    "probability of the true label",
    confidence,
    access="probability",
    requires=("label_scorer",),
    source=_SOURCE,
    formula="p(y), y the true label",
    departures="one threshold for all classes; without true labels, the largest probability",
)

ENTROPY = membership_attack(
    "entropy",
    "entropy of the class probabilities",
    negative_entropy,
    access="probability",
    requires=("label_scorer",),
    source=_SOURCE,
    formula="sum of p log p",
    departures="one threshold for all classes",
)

MODIFIED_ENTROPY = membership_attack(
    "modified_entropy",
    "entropy that knows the true label",
    negative_modified_entropy,
    access="probability",
    requires=("label_scorer",),
    source=_SOURCE,
    formula="(1 - p(y)) log p(y) + sum over i != y of p(i) log(1 - p(i))",
    needs=("labels",),
    departures="one threshold for all classes",
)
