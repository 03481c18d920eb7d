"""Records that several target tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData

NOTES = (
    "the patient has fever",
    "no pain in left chest",
    "patient was given aspirin",
    "stable . no cough",
    "fever and cough",
    "chest pain",
)


def make_data(responses: tuple[str, ...] = NOTES, **parts: Any) -> AuditData:
    """Plain notes, one patient each, alternating labels and membership."""
    n = len(responses)
    settings: dict[str, Any] = {
        "prompts": ("",) * n,
        "responses": responses,
        "group": np.arange(n),
        "labels": tuple("died" if i % 2 else "alive" for i in range(n)),
        "member": np.arange(n) % 2 == 0,
    }
    return AuditData(**(settings | parts))
