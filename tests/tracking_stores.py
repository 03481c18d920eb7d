"""A tracking store of its own, and audits that are logged to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

PRIVACY = {"member": "in_training", "group": "patient_id", "split": "random", "bootstrap": 200}


@contextmanager
def tracking_store(folder: Path) -> Iterator[str]:
    """A fresh SQLite store with artifacts beside it; leaked runs are ended afterwards."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("audit", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)


def with_members(frame: pd.DataFrame) -> pd.DataFrame:
    """Every other patient a member."""
    patients = frame["patient_id"].unique()
    return frame.assign(in_training=frame["patient_id"].isin(patients[::2])).reset_index(drop=True)


def evaluate(model: Any, data: Any, config: dict[str, Any], **arguments: Any) -> tuple[Any, Any]:
    """Evaluate in a run of its own; the result and the run."""
    with mlflow.start_run() as run:
        result = mlflow.models.evaluate(
            model=model, data=data, model_type="clinical", evaluators="clinsec", evaluator_config=config, **arguments
        )
    return result, mlflow.get_run(run.info.run_id)
