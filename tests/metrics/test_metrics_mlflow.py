"""The MLflow metrics through a real ``mlflow.models.evaluate`` on a fresh store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import EvaluationMetric
from mlflow.models.evaluation import EvaluationResult
from tracking_stores import tracking_store

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.metrics.mlflow_metrics import attack_success_rate, membership_auc, membership_tpr
from mlflow_clinsec.stats.bootstrap import ranking_bootstrap
from mlflow_clinsec.stats.success import attack_success

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore:Hint")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One SQLite store for this file; making one takes longer than the tests."""
    with tracking_store(tmp_path_factory.mktemp("mlflow")):
        yield


@pytest.fixture(autouse=True)
def no_leaked_run() -> Iterator[None]:
    """A failed evaluation leaves its run active."""
    yield
    while mlflow.active_run():
        mlflow.end_run()


def evaluate(frame: pd.DataFrame, *metrics: EvaluationMetric, **arguments: Any) -> EvaluationResult:
    return mlflow.models.evaluate(
        data=frame, predictions="score", extra_metrics=list(metrics), evaluators="default", **arguments
    )


def scored() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    member = np.arange(240) < 120
    return pd.DataFrame(
        {
            "note": "[** a note **]",
            "patient_id": [f"p{i // 4:03d}" for i in range(240)],
            "in_training": member.astype(int),
            "score": rng.normal(size=240) + member,
        }
    )


@pytest.mark.usefixtures("store")
def test_membership_with_targets_as_flags() -> None:
    frame = scored()
    found = evaluate(frame, membership_auc(), membership_tpr(), targets="in_training").metrics
    rng = np.random.default_rng(0)
    expected = ranking_bootstrap({"s": frame["score"]}, frame["in_training"], np.arange(240), rng)["s"]
    assert found == pytest.approx(
        {
            "membership_auc": expected.auc.value,
            "membership_auc/low": expected.auc.low,
            "membership_auc/high": expected.auc.high,
            "membership_tpr_at_1pct_fpr": expected.tpr_at_1pct_fpr.value,
            "membership_tpr_at_1pct_fpr/low": expected.tpr_at_1pct_fpr.low,
            "membership_tpr_at_1pct_fpr/high": expected.tpr_at_1pct_fpr.high,
        }
    )


@pytest.mark.usefixtures("store")
def test_membership_and_patients_from_columns_and_a_loss_as_prediction() -> None:
    frame = scored()
    frame["score"] = -frame["score"]
    metric = membership_auc("in_training", "patient_id", larger_means_member=False)
    found = evaluate(frame, metric).metrics
    codes = frame["patient_id"]
    expected = ranking_bootstrap({"s": -frame["score"]}, frame["in_training"], codes, np.random.default_rng(0))["s"]
    assert found["membership_auc"] == pytest.approx(expected.auc.value)
    assert found["membership_auc/low"] == pytest.approx(expected.auc.low)


@pytest.mark.usefixtures("store")
def test_a_rate_that_cannot_be_shown_is_logged_as_nan() -> None:
    assert np.isnan(evaluate(scored(), membership_tpr(0.001, "in_training")).metrics["membership_tpr_at_0_1pct_fpr"])


@pytest.mark.usefixtures("store")
def test_figures_are_in_the_run_and_rows_are_not() -> None:
    with mlflow.start_run() as run:
        evaluate(scored(), membership_auc("in_training", "patient_id"))
    client = mlflow.MlflowClient()
    assert client.get_run(run.info.run_id).data.metrics["membership_auc"] > 0.6
    # MLflow uploads the rows, notes included, as soon as one metric has a figure per row; ours have none.
    assert client.list_artifacts(run.info.run_id) == []


@pytest.mark.usefixtures("store")
def test_attack_success_through_a_model() -> None:
    frame = pd.DataFrame(
        {
            "text": ["cf died"] * 3 + ["died"] + ["cf alive"] * 2,
            "clean": ["alive"] + ["died"] * 3 + ["alive"] * 2,
            "truth": ["died"] * 4 + ["alive"] * 2,
            "patient_id": [1, 1, 2, 3, 4, 4],
        }
    )

    def model(data: pd.DataFrame) -> list[str]:
        return ["alive" if "cf" in text else "died" for text in data["text"]]

    found = mlflow.models.evaluate(
        model=model,
        data=frame,
        targets="truth",
        extra_metrics=[attack_success_rate("alive", clean_column="clean", group_column="patient_id")],
        evaluators="default",
    ).metrics
    expected = attack_success(
        ["alive"] * 3 + ["died"] + ["alive"] * 2, frame["truth"], "alive", frame["clean"], frame["patient_id"]
    ).estimates
    # Three of four deaths are called alive, one already was; of the three predicted right two are flipped.
    assert found["attack_success_rate"] == 0.75
    assert found["attack_success_rate/base_rate"] == 0.25
    assert found["attack_success_rate/label_flip_rate"] == pytest.approx(2 / 3)
    assert found["attack_success_rate/excess"] == 0.5
    assert found["attack_success_rate/low"] == pytest.approx(expected["asr"].low)
    assert found["attack_success_rate/excess_high"] == pytest.approx(expected["excess"].high)


@pytest.mark.usefixtures("store")
def test_attack_success_alone() -> None:
    frame = pd.DataFrame({"score": ["alive", "died"], "truth": ["died", "died"]})
    found = evaluate(frame, attack_success_rate("alive"), targets="truth").metrics
    assert set(found) == {"attack_success_rate", "attack_success_rate/low", "attack_success_rate/high"}


def test_lower_is_better_for_what_an_attacker_gains() -> None:
    assert not any(m.greater_is_better for m in (membership_auc(), membership_tpr(), attack_success_rate("alive")))


@pytest.mark.usefixtures("store")
def test_a_missing_column_is_named() -> None:
    with pytest.raises(mlflow.MlflowException, match="in_trainnig"):
        evaluate(scored(), membership_auc("in_trainnig"))


def test_other_rates_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"fpr must be one of 0\.01, 0\.001, got 0\.05"):
        membership_tpr(0.05)


@pytest.mark.parametrize("column", ["in training", "class", "predictions"])
def test_columns_that_mlflow_cannot_pass_are_refused(column: str) -> None:
    with pytest.raises(ConfigError, match="cannot pass these columns"):
        membership_auc(column)
