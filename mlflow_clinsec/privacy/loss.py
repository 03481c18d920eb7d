"""The loss attack: members have a lower loss.

Source: Yeom 2018 (arXiv 1709.01604, section 4); the canonical attack of arXiv 2510.18674. That paper's token scope
is not known; as in Llemr's training, the loss is the mean over the answer's tokens unless ``scope`` says otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import target_stats
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """-L(x), the negative mean NLL in nats per token, shape (n_records,)."""
    return -target_stats(data, target).nll()


LOSS = membership_attack(
    "loss",
    "loss of the record",
    score,
    access="log-probability",
    requires=("scorer",),
    source="Yeom 2018, arXiv 1709.01604, section 4; arXiv 2510.18674",
    formula="-L(x)",
    departures="the loss is the mean over the answer's tokens; the second paper's token scope is not known",
)
