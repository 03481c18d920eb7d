"""The examples run as they stand, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.files import read_config

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def _run(script: str, folder: Path) -> str:
    foreign = {key for key in os.environ if key.startswith("MLFLOW_")} - {"MLFLOW_DISABLE_TELEMETRY"}
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_evaluate_in_a_pipeline(tmp_path: Path) -> None:
    assert "clinsec/privacy/worst_auc: 0." in _run("evaluate_in_a_pipeline.py", tmp_path)


@pytest.mark.slow
def test_precomputed_losses(tmp_path: Path) -> None:
    assert "verdict: FAIL" in _run("precomputed_losses.py", tmp_path)


@pytest.mark.slow
def test_event_embeddings(tmp_path: Path) -> None:
    assert "verdict: FAIL" in _run("event_embeddings.py", tmp_path)
    kept = [path for path in (tmp_path / "mlruns").rglob("*") if path.suffix in (".npz", ".pkl", ".pt")]
    assert not kept, "neither the patients' vectors nor a pickle is logged"


def test_configuration_file_is_valid() -> None:
    config = AuditConfig.from_mapping(read_config(str(EXAMPLES / "audit.yaml")))
    assert config.backdoor is not None
    assert config.backdoor.triggers == ("mn", "cf")
