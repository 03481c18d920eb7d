"""``mlflow-clinsec audit``: the evaluator's work for people who write no Python."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models.evaluation import EvaluationArtifact

from mlflow_clinsec.compare.logged import DOCUMENT
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.datasets.layouts import NONE, make_layout
from mlflow_clinsec.engine.shards import head_of
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.files import read_config, read_table
from mlflow_clinsec.plugin import NAME, own_config
from mlflow_clinsec.read import read_records
from mlflow_clinsec.report.trigger_lines import reasons_in, trigger_lines
from mlflow_clinsec.targets.pickled import in_flavors, warning

logger = logging.getLogger(__name__)

MODEL_TYPE = "clinical-language-model"
SHOWN_RECORDS = 10


def audit_files(
    model_uri: str | None,
    data_path: str,
    config_path: str,
    run_name: str,
    layout: str = NONE,
    layout_config: str = "",
    echo: Callable[[str], object] = lambda line: None,
) -> str:
    """Audit a model on a file of records, or on a folder in the layout of a known data set.

    Where the configuration names files in ``data_path``, they are read instead, in parts.

    Configuration and columns are checked before the model is loaded and before a run is started, so that a mistake
    in them leaves no run behind.

    Args:
        echo: takes the run's id and the trigger test's figures, line by line.

    Returns:
        The decision, "PASS", "FAIL" or "INCONCLUSIVE".

    Raises:
        ClinSecError, MlflowException: what a user can mend.
    """
    mapping = dict(own_config(read_config(config_path)))
    config = AuditConfig.from_mapping(mapping)
    frame = _records(config, data_path, layout, layout_config)
    if config.data_path is None:
        read_records(frame, config)
    if model_uri is not None:
        _warn_first(model_uri)
    with mlflow.start_run(run_name=run_name) as run:  # the run that `mlflow run` opened, where it did
        found = mlflow.models.evaluate(
            model=model_uri, data=frame, model_type=MODEL_TYPE, evaluators=NAME, evaluator_config=mapping
        )
    echo(f"run: {run.info.run_id}")
    for line in trigger_lines(found.metrics, reasons_in(_document(found.artifacts))):
        echo(line)
    tags = mlflow.MlflowClient().get_run(run.info.run_id).data.tags
    return str(tags["clinsec.verdict"])


def _document(artifacts: Mapping[str, EvaluationArtifact]) -> dict[str, Any]:
    """The audit as it was logged."""
    return next((json.loads(one.content) for path, one in artifacts.items() if path.endswith(f"/{DOCUMENT}")), {})


def _warn_first(model_uri: str) -> None:
    """Say that a model is a pickle before MLflow loads it."""
    try:
        flavors = mlflow.models.get_model_info(model_uri).flavors
    except MlflowException as error:
        raise ConfigError(f"--model-uri: {model_uri!r} cannot be found: {error}") from None
    if text := warning(in_flavors(flavors)):
        logger.warning("clinsec: %s", text)


def _records(config: AuditConfig, data_path: str, layout: str, layout_config: str) -> pd.DataFrame:
    """The records; of files that are read in parts the first ones, since MLflow wants to see some."""
    if config.data_path is not None:
        return head_of(config.data_path, SHOWN_RECORDS)
    return make_layout(layout, layout_config).load(data_path) if layout != NONE else read_table(data_path)
