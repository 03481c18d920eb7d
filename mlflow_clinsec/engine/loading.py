"""How a worker on another process or machine gets the model: by its MLflow URI, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import mlflow

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.engine.columns import batch_data, columns_of
from mlflow_clinsec.engine.shards import head_of
from mlflow_clinsec.engine.worker import Worker
from mlflow_clinsec.errors import ConfigError, TargetError
from mlflow_clinsec.evaluation import open_target
from mlflow_clinsec.precision_guard import reduced

HEAD_RECORDS = 64
"""First records, on which columns are found and models are tried."""


@dataclass(frozen=True)
class WorkerPlan:
    """Everything that a worker is made of; small, and free of text, so that it can travel.

    Attributes:
        model_uri: where the model is loaded from.
        tracking_uri: of the MLflow server that knows the model.
        key: of the digests of patients and texts.
    """

    config: AuditConfig
    model_uri: str
    tracking_uri: str
    key: bytes = field(repr=False)

    def build(self) -> Worker:
        """Load the model and read the head of the data.

        Raises:
            ClinSecError, MlflowException: the data or the model cannot be read, or not in the precision asked for.
        """
        mlflow.tracing.disable()  # for good: traces record inputs, and a worker does nothing else
        mlflow.set_tracking_uri(self.tracking_uri)
        worker = make_worker(self.config, mlflow.pyfunc.load_model(self.model_uri), self.key)
        if self.config.scoring.precision == "bfloat16" and not reduced(worker.target):
            raise TargetError(
                "scoring.precision: bfloat16 is exact enough on the driver's machine and not here, or this machine has "
                "no units for it; leave it at 'auto', so that all records are scored alike"
            )
        worker.warm_up()
        return worker


def make_worker(config: AuditConfig, model: Any, key: bytes) -> Worker:
    """A worker around a loaded model.

    Args:
        model: as MLflow hands it to an evaluator.
    """
    assert config.data_path is not None
    frame = head_of(config.data_path, HEAD_RECORDS)
    columns = columns_of(frame, config)
    head = batch_data(frame, columns, config)
    # What lies in the store would change which texts share a batch, and so the last bits of their scores.
    dataset = SimpleNamespace(features_data=frame, has_targets=False, targets_name=None)
    target = open_target(model, dataset, frame, head, config, None)
    return Worker(config, target, columns, key, head)


def uri_of(model: Any, named: str | None) -> str:
    """URI under which a worker finds the model.

    Raises:
        ConfigError: the model does not know it, and the user did not name it.
    """
    model_id = getattr(model, "model_id", None)
    if named or model_id:
        return named or f"models:/{model_id}"
    raise ConfigError(
        "engine: workers load the model by its URI, which this one does not know. Log the model and audit it by "
        "its URI, or name the URI in scale.model_uri; functions cannot be sent to workers."
    )
