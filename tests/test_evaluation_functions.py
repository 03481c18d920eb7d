"""`mlflow.models.evaluate` without a logged model: functions, precomputed columns, and what is none of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from tracking_stores import PRIVACY, evaluate, tracking_store, with_members

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.errors import ClinSecError
from mlflow_clinsec.evaluation import evaluation_frame, tracing_off


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with tracking_store(tmp_path_factory.mktemp("store")):
        yield


@pytest.fixture(scope="module")
def notes() -> pd.DataFrame:
    return with_members(generate_corpus(80, seed=5).notes.groupby("patient_id").head(1).head(60))


def _constant(frame: Any) -> Any:
    return ["alive"] * len(frame)


def _probabilities(frame: Any) -> Any:
    return pd.DataFrame({"alive": np.full(len(frame), 0.7), "died": np.full(len(frame), 0.3)})


def test_labels_only_function_is_no_pass(notes: pd.DataFrame) -> None:
    _, run = evaluate(_constant, notes, {"privacy": PRIVACY, "data": {"label": "outcome", "text": "text"}})
    assert run.data.tags["clinsec.verdict"] == "INCONCLUSIVE"


def test_probability_function(notes: pd.DataFrame) -> None:
    config = {"privacy": PRIVACY, "data": {"label": "outcome", "text": "text"}}
    result, _ = evaluate(_probabilities, notes, config)
    assert result.metrics["clinsec/privacy/entropy/auc"] == pytest.approx(0.5)  # the same for every record


def test_precomputed_columns_without_a_model(notes: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    frame = notes.assign(nll=rng.normal(size=len(notes)) - 3.0 * notes["in_training"] + 10)
    config = {
        "privacy": PRIVACY | {"attacks": ["loss"]},
        "data": {"text": "text"},
        "precomputed": {"nll": "nll"},
    }
    result, _ = evaluate(None, frame, config)
    assert result.metrics["clinsec/privacy/loss/auc"] > 0.9


def test_labels_of_another_length_are_refused() -> None:
    class Dataset:
        features_data = pd.DataFrame({"text": ["a", "b"]})
        has_targets, targets_name, labels_data = True, "y", [1, 2, 3]
        has_predictions = False

    with pytest.raises(ClinSecError, match=r"column 'y' has 3 values for 2 records"):
        evaluation_frame(Dataset())


def test_tracing_is_off_meanwhile_and_back_on_after() -> None:
    from mlflow.tracing.provider import is_tracing_enabled

    before = is_tracing_enabled()
    with tracing_off():
        assert not is_tracing_enabled()
    assert is_tracing_enabled() == before


def test_somebody_elses_pipeline_is_untouched() -> None:
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0, 3.0]})
    with mlflow.start_run() as run:
        result = mlflow.models.evaluate(
            model=lambda inputs: inputs["x"].to_numpy(),
            data=frame,
            targets="y",
            model_type="regressor",
            evaluator_config={"log_model_explainability": False},
        )
    assert not [name for name in result.metrics if "clinsec" in name]
    assert not [tag for tag in mlflow.get_run(run.info.run_id).data.tags if tag.startswith("clinsec")]


def test_a_model_that_does_not_exist(notes: pd.DataFrame) -> None:
    with mlflow.start_run(), pytest.raises(MlflowException):
        mlflow.models.evaluate(
            "models:/nobody/1", notes, model_type="x", evaluators="clinsec", evaluator_config={"privacy": PRIVACY}
        )
