"""What happens inside ``evaluate()``: from what MLflow hands over to an audit, and its outcome back to MLflow.

Tracing is off meanwhile, because traces record inputs, and inputs are patients' notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models.evaluation import EvaluationArtifact, EvaluationResult

from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine.spark_limit import refuse_cut_frame
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.evidence import Evidence
from mlflow_clinsec.gate.gate import baseline_evidence
from mlflow_clinsec.model_name import model_name
from mlflow_clinsec.per_record import refuse_place
from mlflow_clinsec.precision_guard import settle
from mlflow_clinsec.read import read_records, text_column_name
from mlflow_clinsec.results import AuditReport
from mlflow_clinsec.silence import Shared, hub_offline, telemetry_off
from mlflow_clinsec.store.opening import opened
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.companions import with_companions, with_language_model
from mlflow_clinsec.targets.huggingface import TargetOptions, usual_batch_tokens
from mlflow_clinsec.targets.pickled import in_flavors, warning
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.resolve import resolve
from mlflow_clinsec.tracking import log_report


def evaluate_and_log(
    *,
    config_mapping: Mapping[str, Any],
    dataset: Any,
    run_id: str,
    model: Any,
    model_id: str | None,
) -> EvaluationResult:
    """Audit ``model`` on MLflow's evaluation dataset and log to ``run_id``.

    MLflow logs the returned metrics itself exactly when it knows the ``model_id``; we log them otherwise, linked to
    the LoggedModel that the model came from, so that every metric has one point.
    """
    telemetry_off()
    config = AuditConfig.from_mapping(config_mapping)
    if config.report.per_record_path is not None:
        refuse_place(config.report.per_record_path, mlflow.get_run(run_id).info.artifact_uri)
    baseline = baseline_evidence(mlflow.MlflowClient(), config.policy)
    with hub_offline():
        report = _with_warning(_audit(config, dataset, model, baseline), model)
    logged = log_report(
        report,
        client=mlflow.MlflowClient(),
        run_id=run_id,
        model_id=model_id or getattr(model, "model_id", None),
        dataset_name=getattr(dataset, "name", None),
        dataset_digest=getattr(dataset, "digest", None),
        log_metrics=model_id is None,
        prefix=config.metric_prefix,
        figures=config.report.figures,
        min_cell=config.report.min_cell,
        keep_in=config.cache.dir,
    )
    return EvaluationResult(metrics=logged.metrics, artifacts=_artifacts(logged.artifacts))


def _audit(config: AuditConfig, dataset: Any, model: Any, baseline: Evidence | None) -> AuditReport:
    """Audit the dataset, or the files that stand in its place."""
    if config.data_path is not None:
        from mlflow_clinsec.engine.large import run_large_audit

        with tracing_off():
            return run_large_audit(config, model, baseline)
    frame = evaluation_frame(dataset)
    refuse_cut_frame(frame)
    data = read_records(frame, config, _target_column(dataset))
    with tracing_off(), opened(config.cache) as store:
        target = open_target(model, dataset, frame, data, config, store)
        try:
            return run_audit(data, target, config, store, baseline)
        finally:
            target.close()


def _with_warning(report: AuditReport, model: Any) -> AuditReport:
    """The report, with a note where MLflow loaded the model from a pickle before it called us."""
    text = warning(in_flavors(getattr(getattr(model, "metadata", None), "flavors", {})))
    if not text:
        return report
    return replace(report, verdict=replace(report.verdict, notes=(*report.verdict.notes, text)))


class FileArtifact(EvaluationArtifact):
    """An artifact of the audit, read back as bytes."""

    def _load_content_from_file(self, local_artifact_path: str) -> bytes:
        return Path(local_artifact_path).read_bytes()

    def _save(self, output_artifact_path: str) -> None:
        Path(output_artifact_path).write_bytes(self.content)


def open_target(
    model: Any, dataset: Any, frame: pd.DataFrame, data: AuditData, config: AuditConfig, store: Store | None = None
) -> Target:
    """The richest target that the model, or the precomputed columns, allow.

    Raises:
        TargetError: the model's answers cannot be read.
    """
    privacy, scoring = config.privacy, config.scoring
    options = TargetOptions(
        batch_tokens=scoring.batch_tokens or usual_batch_tokens(scoring.device),
        max_length=scoring.max_length,
        device=scoring.device,
        scope=privacy.scope if privacy else "answer",
        text_column=_function_column(dataset, frame, data, config),
        time_limit_s=scoring.time_limit_s,
        store=store,
        backend=scoring.backend,
        precision=scoring.precision,
    )
    target = settle(
        lambda chosen: resolve(
            model,
            model_uri_or_name=model_name(model),
            data=data,
            options=chosen,
            labels=sorted(set(data.labels)) if data.labels else None,
            references=privacy.references if privacy else (),
        ),
        options,
        data,
    )
    with ExitStack() as undo:  # what was opened is closed again where a companion cannot be loaded
        undo.callback(target.close)
        if config.backdoor is not None:
            target = with_language_model(target, config.backdoor.language_model, options)
            undo.callback(target.close)
        found = with_companions(target, privacy, options) if privacy else target
        undo.pop_all()
    return found


def _function_column(dataset: Any, frame: pd.DataFrame, data: AuditData, config: AuditConfig) -> str | None:
    """Name under which a function gets its texts: as in the user's frame; arrays and pairs have none."""
    if data.has_prompts or not isinstance(dataset.features_data, pd.DataFrame):
        return None
    return text_column_name(frame, config, _target_column(dataset))


def evaluation_frame(dataset: Any) -> pd.DataFrame:
    """The evaluation dataset as one frame again.

    MLflow takes target and prediction columns out of the features; a column that the configuration names may be
    either of them, so they are put back under their names.

    Raises:
        DataError: columns of unequal length.
    """
    features = dataset.features_data
    if isinstance(features, pd.DataFrame):
        frame = features.reset_index(drop=True).copy(deep=False)
    else:
        table = np.asarray(features, dtype=object)
        frame = pd.DataFrame(table if table.ndim == 2 else table[:, None], columns=_numpy_names(dataset, table))
    if dataset.has_targets:
        _put(frame, _target_column(dataset) or "targets", dataset.labels_data)
    if dataset.has_predictions:
        _put(frame, dataset.predictions_name or "predictions", dataset.predictions_data)
    return frame.infer_objects()


def _numpy_names(dataset: Any, table: np.ndarray[Any, Any]) -> list[str]:
    width = table.shape[1] if table.ndim == 2 else 1
    names = list(dataset.feature_names or [])
    return [str(name) for name in names] if len(names) == width else [f"feature_{i + 1}" for i in range(width)]


def _put(frame: pd.DataFrame, name: str, values: Any) -> None:
    """Add a column, refusing one of another length."""
    if len(values) != len(frame):
        raise DataError(f"column {name!r} has {len(values)} values for {len(frame)} records.")
    frame[name] = np.asarray(values)


def _target_column(dataset: Any) -> str | None:
    """Name of the column that holds the targets, if any were given."""
    return (dataset.targets_name or "targets") if dataset.has_targets else None


@Shared
@contextmanager
def tracing_off() -> Iterator[None]:
    """No MLflow traces meanwhile."""
    was_on = mlflow.tracing.provider.is_tracing_enabled()
    mlflow.tracing.disable()
    try:
        yield
    finally:
        if was_on:
            mlflow.tracing.enable()


def _artifacts(paths: Mapping[str, str]) -> dict[str, EvaluationArtifact]:
    """What ``EvaluationResult.artifacts`` shows: artifact name -> where it was logged."""
    return {name: FileArtifact(uri=uri) for name, uri in paths.items()}
