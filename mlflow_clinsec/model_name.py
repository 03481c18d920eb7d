"""What reports call the audited model."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

COMMON = frozenset({"", "model"})
"""Names that many models have: MLflow's examples, and its own default before version 3."""


def model_name(model: Any) -> str:
    """Name of a logged model; where it says nothing, that of the run which logged it, or the model's id.

    Args:
        model: what MLflow hands to an evaluator: a pyfunc, a function's wrapper, or None.
    """
    if model is None:
        return "precomputed columns"
    metadata = getattr(model, "metadata", None)
    model_id = getattr(model, "model_id", None)
    if model_id:
        logged = mlflow.MlflowClient().get_logged_model(model_id)
        name, run_id = str(logged.name), logged.source_run_id
    else:
        name, run_id = str(getattr(metadata, "artifact_path", None) or ""), getattr(metadata, "run_id", None)
    if name not in COMMON:
        return name
    return _run_name(run_id) or model_id or name or "function"


def _run_name(run_id: str | None) -> str | None:
    """Name of a run; None where there is none, or it is not known here."""
    try:
        return mlflow.MlflowClient().get_run(run_id).info.run_name if run_id else None
    except MlflowException:
        return None
