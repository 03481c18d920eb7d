"""Auditing models that were just trained, with members known, and printing what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.plugin import NAME

MEMBERSHIP = {"member": "in_training", "group": "patient_id", "split": "random"}
"""How the frame of :func:`with_members` is read: patients were dealt at random before training."""


def with_members(train: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """Members and non-members in one frame, flagged."""
    return pd.concat([train.assign(in_training=True), held_out.assign(in_training=False)], ignore_index=True)


def audit_logged(
    model_uri: str, records: pd.DataFrame, config: Mapping[str, Any], run_id: str
) -> tuple[dict[str, float], str]:
    """Audit a logged model inside the active run ``run_id``: (metrics, verdict)."""
    result = mlflow.models.evaluate(
        model=model_uri,
        data=records,
        model_type="clinical-language-model",
        evaluators=NAME,
        evaluator_config=dict(config),
    )
    verdict = mlflow.MlflowClient().get_run(run_id).data.tags["clinsec.verdict"]
    return result.metrics, str(verdict)


def with_interval(metrics: Mapping[str, float], name: str) -> str:
    """ "value (low to high)", the value alone where it has no interval, or a dash where the audit did not ask."""
    if name not in metrics:
        return "-"
    low, high = metrics.get(f"{name}_low", np.nan), metrics.get(f"{name}_high", np.nan)
    bounds = "" if np.isnan(low) and np.isnan(high) else f" ({low:.3f} to {high:.3f})"
    return f"{metrics[name]:.3f}{bounds}"


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of equal columns, under their headings."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return ["", lines[0], "  ".join("-" * width for width in widths), *lines[1:], ""]
