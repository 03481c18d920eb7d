from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from mlflow_clinsec.backdoor.search.detector import Detector, _loss, fit, load_detector
from mlflow_clinsec.backdoor.search.features import FEATURES
from mlflow_clinsec.errors import DataError


def models(n: int, rng: np.random.Generator, apart: float) -> tuple[list[dict[str, float]], list[bool]]:
    """Half clean, half backdoored; ``score`` tells them apart, the other features are noise."""
    planted = [i % 2 == 1 for i in range(n)]
    found = [{name: float(rng.normal()) for name in FEATURES} for _ in planted]
    for one, is_planted in zip(found, planted, strict=True):
        one["score"] += apart * is_planted
    return found, planted


def test_fitting_finds_the_feature_that_tells() -> None:
    found, planted = models(200, np.random.default_rng(0), 3.0)
    detector = fit(found, planted, {"models": 200})
    assert detector.coefficients["score"] == max(detector.coefficients.values())
    assert all(weight >= 0 for weight in detector.coefficients.values())
    right = [(detector.probability(one) > 0.5) == is_planted for one, is_planted in zip(found, planted, strict=True)]
    assert np.mean(right) > 0.9


def test_no_clean_calibration_model_is_flagged() -> None:
    found, planted = models(60, np.random.default_rng(1), 0.5)
    detector = fit(found, planted, {})
    assert detector.threshold > 0.5
    assert not any(detector.flags(one) for one, is_planted in zip(found, planted, strict=True) if not is_planted)
    assert fit(*models(60, np.random.default_rng(1), 50.0), {}).threshold == 0.5


def test_gradient_of_the_loss() -> None:
    rng = np.random.default_rng(2)
    values, planted, weights = rng.normal(size=(9, 3)), np.arange(9) % 2 == 0, rng.random(9)
    at = rng.normal(size=4)
    numeric = approx_fprime(at, lambda parameters: _loss(parameters, values, planted, weights)[0], 1e-7)
    np.testing.assert_allclose(_loss(at, values, planted, weights)[1], numeric, atol=1e-5)


def test_probability_by_hand_and_at_the_extremes() -> None:
    detector = Detector(-1.0, {"score": 2.0, "gain": 0.0}, 0.5, {})
    assert detector.probability({"score": 1.0, "gain": 9.0}) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert detector.probability({"score": -1e6, "gain": 0.0}) == 0.0
    assert detector.probability({"score": 1e6, "gain": 0.0}) == 1.0


def test_written_and_read_again(tmp_path: Path) -> None:
    detector = fit(*models(20, np.random.default_rng(3), 3.0), {"corpus": "a", "models": 20})
    detector.save(tmp_path / "detector.json")
    assert load_detector((tmp_path / "detector.json").read_text(encoding="utf-8")) == detector


def test_the_shipped_detector_says_where_it_comes_from() -> None:
    detector = load_detector()
    assert set(detector.coefficients) == set(FEATURES)
    assert 0.5 <= detector.threshold < 1
    assert detector.provenance["models"]


def test_calibration_needs_both_kinds() -> None:
    found, _ = models(4, np.random.default_rng(0), 1.0)
    with pytest.raises(DataError, match="clean and backdoored"):
        fit(found, [True] * 4, {})
