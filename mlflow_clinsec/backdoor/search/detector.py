"""One probability that a model holds a planted trigger, from the features of its search.

A logistic model whose coefficients and threshold lie beside this file. They were fitted on models that are known to be
clean or backdoored, and that no published figure judges the detector on; ``provenance`` says which.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from mlflow_clinsec.backdoor.search.features import FEATURES
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray

SHIPPED = "detector.json"
EVEN = 0.5
"""Probability from which on a model counts as backdoored, unless a clean calibration model came above it."""

RIDGE = 0.01
"""Weight of the squared coefficients beside the mean loss; separable models would drive them to infinity."""


@dataclass(frozen=True)
class Detector:
    """The logistic model.

    Attributes:
        intercept, coefficients: of the log-odds that a trigger was planted, by feature.
        threshold: models above it are flagged.
        provenance: what it was fitted on, for the report.
    """

    intercept: float
    coefficients: Mapping[str, float]
    threshold: float
    provenance: Mapping[str, Any]

    def probability(self, features: Mapping[str, float]) -> float:
        """Probability that a trigger was planted."""
        log_odds = self.intercept + sum(weight * features[name] for name, weight in self.coefficients.items())
        return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0

    def flags(self, features: Mapping[str, float]) -> bool:
        """Whether the probability lies above the threshold."""
        return self.probability(features) > self.threshold

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_detector(text: str | None = None) -> Detector:
    """The detector of a JSON text, or the one that comes with the package."""
    if text is None:
        text = (resources.files(__package__) / SHIPPED).read_text(encoding="utf-8")
    return Detector(**json.loads(text))


def fit(found: Sequence[Mapping[str, float]], planted: Sequence[bool], provenance: Mapping[str, Any]) -> Detector:
    """Fit on calibration models.

    Each feature can only count towards a trigger, never against one: coefficients are at least 0. Clean and backdoored
    models weigh the same in sum. The threshold is 0.5, or the highest probability of a clean calibration model where
    that is more.

    Args:
        found: the features of each model.
        planted: which of them hold a trigger.

    Raises:
        DataError: only clean models, or only backdoored ones.
    """
    truth = np.asarray(planted, dtype=np.bool_)
    if not 0 < truth.sum() < len(truth):
        raise DataError("planted: calibration needs clean and backdoored models")
    values = np.array([[one[name] for name in FEATURES] for one in found])
    weights = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
    scale = np.maximum(values.std(axis=0), 1e-9)
    solution = minimize(
        _loss,
        np.zeros(1 + len(FEATURES)),
        args=(values / scale, truth, weights),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *[(0.0, None)] * len(FEATURES)],
    )
    coefficients = dict(zip(FEATURES, (solution.x[1:] / scale).tolist(), strict=True))
    plain = Detector(float(solution.x[0]), coefficients, EVEN, dict(provenance))
    clean = [plain.probability(one) for one, is_planted in zip(found, truth, strict=True) if not is_planted]
    return Detector(plain.intercept, coefficients, max(EVEN, *clean), plain.provenance)


def _loss(
    parameters: FloatArray, values: FloatArray, planted: BoolArray, weights: FloatArray
) -> tuple[float, FloatArray]:
    """Weighted mean log loss with ridge, and its gradient."""
    log_odds = parameters[0] + values @ parameters[1:]
    signed = np.where(planted, log_odds, -log_odds)
    residual = weights * np.where(planted, -1.0, 1.0) / (1 + np.exp(np.clip(signed, -500, 500)))
    gradient = np.concatenate([[residual.sum()], values.T @ residual + 2 * RIDGE * parameters[1:]])
    return float(weights @ np.logaddexp(0, -signed) + RIDGE * (parameters[1:] ** 2).sum()), gradient
