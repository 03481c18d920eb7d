"""Real Spark: its executors score as an audit does, and a frame that MLflow has cut is refused."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from large_audits import notes, save_language_model, write_parquet

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.targets.huggingface import causal_lm_target

spark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "spark_scoring.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_language_model(tmp_path_factory.mktemp("model") / "lm", 1)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    found = spark_sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    yield found
    found.stop()


def test_executors_find_the_losses_of_an_audit_in_memory(model: str, tmp_path: Path) -> None:
    frame = notes().head(60)
    source = write_parquet(frame, tmp_path / "in")
    (tmp_path / "key").write_bytes(secrets.token_bytes(32))
    environment = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell"}
    command = [sys.executable, str(EXAMPLE), model, source, str(tmp_path / "out"), str(tmp_path / "key")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    raw = mlflow.pyfunc.load_model(model).get_raw_model()
    scorer = causal_lm_target(raw.model, raw.tokenizer).scorer
    assert scorer is not None
    expected = scorer.token_stats([""] * len(frame), list(frame["text"]))
    found = pd.read_parquet(tmp_path / "out")
    assert found["text"].nunique() == frame["text"].nunique()
    assert found["patient"].nunique() == frame["patient_id"].nunique()
    np.testing.assert_allclose(np.sort(found["nll"]), np.sort(expected.nll()), atol=1e-4)
    assert sorted(found["n_tokens"]) == sorted(expected.counts)


def test_a_spark_frame_that_mlflow_cuts_is_refused(
    model: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"text": "a note", "patient_id": np.arange(10_500), "in_training": np.arange(10_500) % 2 == 0})
    privacy = {"member": "in_training", "group": "patient_id", "attacks": ["loss"]}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(DataError, match="exactly 10000 rows"), mlflow.start_run():
        mlflow.models.evaluate(
            model,
            session.createDataFrame(frame),
            model_type="clinsec",
            evaluators="clinsec",
            evaluator_config={"privacy": privacy, "data": {"text": "text"}},
        )
