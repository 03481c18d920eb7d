"""The reference attack: members' loss is low beyond what a model that never saw them explains.

Source: Carlini 2021 (arXiv 2012.07805, section 5.2), there as a ratio; the difference is the form of later work
(Carlini 2022, arXiv 2112.03570). Total log-likelihoods are compared, per token of the target, so that a reference
with another tokeniser can serve.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import reference_losses, references_stats, target_stats
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """L_ref(x) - L(x) in nats per target token, shape (n_records,)."""
    stats = target_stats(data, target)
    return reference_losses(stats, references_stats(data, target)).mean(axis=0) - stats.nll()


REFERENCE = membership_attack(
    "reference",
    "loss against a reference model",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source="Carlini 2021, arXiv 2012.07805, section 5.2",
    formula="L_ref(x) - L(x)",
    departures="a difference, not a ratio",
)
