"""Registered metrics: the statistics of this package as Hugging Face ``evaluate`` modules and MLflow metrics.

``load`` gives the former; :mod:`mlflow_clinsec.metrics.mlflow_metrics` makes the latter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_clinsec.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from evaluate import EvaluationModule

NAMES = ("membership_inference", "attack_success_rate")


def path(name: str) -> Path:
    """Folder of a metric, for ``evaluate.load(str(path(name)))``.

    Raises:
        ConfigError: there is no such metric.
    """
    if name not in NAMES:
        raise ConfigError(f"no metric {name!r}.{did_you_mean(name, NAMES)}")
    return Path(__file__).parent / name


def load(name: str) -> EvaluationModule:
    """A metric of this package as an ``evaluate`` module. Needs no network, and writes no score to the disk.

    Raises:
        ConfigError: there is no such metric.

    >>> metric = load("membership_inference")  # doctest: +SKIP
    >>> metric.compute(predictions=[0.9, 0.8, 0.3, 0.1], references=[1, 0, 1, 0])["auc"]  # doctest: +SKIP
    0.75
    """
    folder = path(name)
    import evaluate

    return evaluate.load(str(folder), keep_in_memory=True)
