"""The zlib attack: the loss against how well the text compresses.

Source: Carlini 2021 (arXiv 2012.07805, section 5.2): total NLL over the length of the zlib-compressed text, so
that a text is not called a member merely because it repeats itself.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.privacy.token_view import target_stats
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """-L * n / len(zlib(x)) in nats per compressed byte, shape (n_records,); x is the scored response."""
    stats = target_stats(data, target)
    sizes = np.array([len(zlib.compress(text.encode())) for text in data.responses], dtype=np.float64)
    return -stats.nll() * stats.counts / sizes


ZLIB = membership_attack(
    "zlib",
    "loss against compressed length",
    score,
    access="log-probability",
    requires=("scorer",),
    source="Carlini 2021, arXiv 2012.07805, section 5.2",
    formula="-L(x) n / len(zlib(x))",
)
