"""Metrics for ``extra_metrics=`` of ``mlflow.models.evaluate``, beside MLflow's own evaluator.

They log aggregates only. A metric with a figure per row would make MLflow upload all rows, inputs included.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.bootstrap import FPRS, ranking_bootstrap
from mlflow_clinsec.stats.success import attack_success

if TYPE_CHECKING:
    from mlflow.models import EvaluationMetric

Columns = Mapping[str, Any]


def membership_auc(
    member_column: str | None = None,
    group_column: str | None = None,
    larger_means_member: bool = True,
    level: float = 0.95,
    seed: int = 0,
) -> EvaluationMetric:
    """AUC of the predictions as a membership score: ``membership_auc``, with ``/low`` and ``/high``.

    Args:
        member_column: column of the data that is 1 for records of the training data; by default the targets are.
        group_column: column of patients; by default each record is a patient of its own.
        larger_means_member: False where the prediction is a loss.
        level: confidence level of the interval.
        seed: of the bootstrap.

    Raises:
        ConfigError: a column's name cannot be one of a Python parameter, which is how MLflow passes columns.
    """
    return _membership_metric("auc", member_column, group_column, larger_means_member, level, seed)


def membership_tpr(
    fpr: float = 0.01,
    member_column: str | None = None,
    group_column: str | None = None,
    larger_means_member: bool = True,
    level: float = 0.95,
    seed: int = 0,
) -> EvaluationMetric:
    """True-positive rate at a false-positive rate of 0.01 or 0.001: ``membership_tpr_at_1pct_fpr``, ``..._0_1pct_fpr``.

    NaN where non-members are fewer than 1 / fpr. Other arguments as for :func:`membership_auc`.

    Raises:
        ConfigError: another rate, or a column's name that cannot be passed.
    """
    names = {rate: name for name, rate in FPRS.items()}
    if fpr not in names:
        raise ConfigError(f"fpr must be one of {', '.join(f'{rate:g}' for rate in names)}, got {fpr}")
    return _membership_metric(names[fpr], member_column, group_column, larger_means_member, level, seed)


def attack_success_rate(
    target_label: str | int,
    clean_column: str | None = None,
    group_column: str | None = None,
    level: float = 0.95,
) -> EvaluationMetric:
    """Attack success of predictions on triggered inputs: ``attack_success_rate``, with ``/low`` and ``/high``.

    Targets are the true labels; records of the target class are left out.

    Args:
        target_label: the label that the trigger should bring about.
        clean_column: column of predictions without the trigger; adds ``/base_rate``, ``/label_flip_rate`` and
            ``/excess``, with their bounds.
        group_column: column of patients; by default each record is a patient of its own.
        level: confidence level of the intervals.

    Raises:
        ConfigError: a column's name cannot be one of a Python parameter.
    """
    name = "attack_success_rate"

    def judge(columns: Columns) -> dict[str, float]:
        clean, group = columns.get(str(clean_column)), columns.get(str(group_column))
        predictions, targets = columns["predictions"], columns["targets"]
        found = attack_success(predictions, targets, target_label, clean, group, level).estimates
        figures = _figures(name, found["asr"])
        for part in ("base_rate", "label_flip_rate", "excess"):
            if part in found:
                figures |= _figures(part, found[part], f"{part}_")
        return figures

    return _metric(name, judge, ["targets", clean_column, group_column])


def _membership_metric(
    metric: str,
    member_column: str | None,
    group_column: str | None,
    larger_means_member: bool,
    level: float,
    seed: int,
) -> EvaluationMetric:
    name = f"membership_{metric}"
    member = member_column or "targets"

    def judge(columns: Columns) -> dict[str, float]:
        scores = np.asarray(columns["predictions"], dtype=np.float64) * (1 if larger_means_member else -1)
        group = columns.get(str(group_column), np.arange(scores.size))
        rng = np.random.default_rng(seed)
        found = ranking_bootstrap({"predictions": scores}, columns[member], group, rng, level=level)["predictions"]
        return _figures(name, found.as_mapping()[metric])

    return _metric(name, judge, [member, group_column])


def _metric(name: str, judge: Callable[[Columns], dict[str, float]], wanted: list[str | None]) -> EvaluationMetric:
    from mlflow.metrics import MetricValue, make_metric

    columns = ["predictions", *(column for column in wanted if column is not None)]

    def eval_fn(*values: pd.Series) -> MetricValue:
        given = {column: np.asarray(value) for column, value in zip(columns, values, strict=True)}
        return MetricValue(aggregate_results=judge(given))

    # MLflow reads the signature to learn which columns to pass, by position.
    eval_fn.__signature__ = _signature(columns)  # type: ignore[attr-defined]
    return make_metric(eval_fn=eval_fn, greater_is_better=False, name=name)


def _signature(columns: list[str]) -> inspect.Signature:
    try:
        return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in columns])
    except ValueError as error:
        # Also raised for a repeated name; column names are the user's own settings, not patient data.
        raise ConfigError(f"cannot pass these columns to a metric ({error}); rename them: {columns}") from None


def _figures(name: str, estimate: Estimate, prefix: str = "") -> dict[str, float]:
    return {name: estimate.value, f"{prefix}low": estimate.low, f"{prefix}high": estimate.high}
