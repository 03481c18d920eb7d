"""How membership attacks on classifiers read the true label's probability, under the target and its references."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.confidence import label_columns
from mlflow_clinsec.targets.protocols import LabelScorer, Target

FloatArray = NDArray[np.float64]

_LEAST = 1e-12  # keeps log finite where a probability has rounded to 0


def true_label_probability(data: AuditData, target: Target, scorer: LabelScorer | None) -> FloatArray:
    """Probability of each record's true label, shape (n_records,).

    Args:
        scorer: the target's or one of its references', whose columns stand in the target's order.

    Raises:
        DataError: a true label that the model does not have.
    """
    assert scorer is not None
    return scorer.predict_proba(data.texts)[np.arange(len(data)), label_columns(data, target)]


def true_label_logit(data: AuditData, target: Target, scorer: LabelScorer | None) -> FloatArray:
    """log(p_y / (1 - p_y)) of each record's true label, shape (n_records,).

    1 - p_y is the sum over the other labels, which keeps its digits where p_y itself has rounded to 1. The logit of
    one record over many models is close to normal, which the probability is not (Carlini 2022, arXiv 2112.03570).
    """
    assert scorer is not None
    table = scorer.predict_proba(data.texts).copy()
    rows, true = np.arange(len(data)), label_columns(data, target)
    right = table[rows, true]
    table[rows, true] = 0.0
    return np.log(np.maximum(right, _LEAST)) - np.log(np.maximum(table.sum(axis=1), _LEAST))
