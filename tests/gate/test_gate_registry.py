"""The verdict on registered models, and the command: what it prints, writes and returns."""

from __future__ import annotations

import json
import time
from pathlib import Path

import mlflow
import pytest
import yaml
from audited import Audited
from click.testing import CliRunner, Result
from mlflow.entities import Metric

from mlflow_clinsec.cli import main
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.gate.registry import audit_run, audited_version

LAX = {"max_auc": 1.0, "max_tpr_at_1pct_fpr": 1.0}


class Constant(mlflow.pyfunc.PythonModel):
    """A model to register; it is never called here."""

    def predict(self, context: object, model_input: list[str]) -> list[str]:
        """Nothing of interest."""
        return ["a" for _ in model_input]


@pytest.fixture(scope="module")
def client(audited: Audited) -> mlflow.MlflowClient:
    """Version 1 of ``ward`` is what the clean run audited, version 2 what the leaking one did."""
    client = mlflow.MlflowClient(audited.uri)
    for run_id in (audited.clean, audited.leaking):
        with mlflow.start_run():
            info = mlflow.pyfunc.log_model(
                name="m", python_model=Constant(), registered_model_name="ward", pip_requirements=["mlflow"]
            )
        client.set_tag(run_id, "clinsec.model_id", info.model_id)
        point = Metric("clinsec/x", 0.5, int(time.time() * 1000), 0, model_id=info.model_id, run_id=run_id)
        client.log_batch(run_id, metrics=[point])
    return client


def gate(audited: Audited, folder: Path, run_id: str, *options: str, **policy: object) -> Result:
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    words = ["gate", "--run-id", run_id, "--policy", str(folder / "policy.yaml"), "--tracking-uri", audited.uri]
    return CliRunner().invoke(main, [*words, *options])


def test_exit_codes_are_those_of_the_verdict(audited: Audited, tmp_path: Path) -> None:
    assert gate(audited, tmp_path, audited.clean).exit_code == 0
    assert gate(audited, tmp_path, audited.leaking).exit_code == 1
    assert gate(audited, tmp_path, audited.clean, must_run=["lira"]).exit_code == 3
    wrong = gate(audited, tmp_path, audited.clean, max_acu=0.6)
    assert wrong.exit_code == 2
    assert "unknown key 'max_acu'" in wrong.output
    assert gate(audited, tmp_path, audited.empty).exit_code == 2


def test_the_output_names_each_check(audited: Audited, tmp_path: Path) -> None:
    shown = gate(audited, tmp_path, audited.leaking, **LAX, metrics={"privacy/loss/auc": {"max": 0.7}}).output
    assert shown.startswith("verdict: FAIL (precomputed columns)")
    assert "FAIL         loss, AUC: privacy/loss/auc is 0.98" in shown
    assert "which lies above the limit of 0.7." in shown
    assert gate(audited, tmp_path, audited.leaking, "--quiet").output == ""


def test_the_json_is_one_document(audited: Audited, tmp_path: Path) -> None:
    done = gate(audited, tmp_path, audited.leaking, "--json", "--baseline-run-id", audited.clean, **LAX)
    document = json.loads(done.output)
    assert (document["decision"], document["exit_code"], done.exit_code) == ("FAIL", 1, 1)
    assert document["baseline_run_id"] == audited.clean
    assert document["policy"]["baseline"]["margin"] == 0.05
    checks = {check["key"]: check["decision"] for check in document["verdict"]["checks"]}
    assert checks["baseline.privacy/worst_auc"] == "FAIL"
    assert checks["max_auc"] == "PASS"


def test_options_that_exclude_each_other_are_refused(audited: Audited, tmp_path: Path) -> None:
    assert gate(audited, tmp_path, audited.clean, "--json", "--quiet").exit_code == 2
    assert gate(audited, tmp_path, audited.clean, "--model", "models:/ward/1").exit_code == 2


def test_the_version_that_the_run_audited_is_tagged(
    audited: Audited, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    passed = gate(audited, tmp_path, audited.clean, "--set-alias", "champion")
    failed = gate(audited, tmp_path, audited.leaking, "--set-alias", "champion", "--quiet")
    assert (passed.exit_code, failed.exit_code) == (0, 1)
    assert client.get_model_version("ward", "1").tags["clinsec.verdict"] == "PASS"
    assert client.get_model_version("ward", "2").tags["clinsec.verdict"] == "FAIL"
    assert client.get_model_version("ward", "2").tags["clinsec.run_id"] == audited.leaking
    assert str(client.get_model_version_by_alias("ward", "champion").version) == "1"  # only a pass moves it
    assert "alias 'champion' set" in passed.output


def test_no_alias_and_no_tag_without_being_asked(audited: Audited, client: mlflow.MlflowClient, tmp_path: Path) -> None:
    before = client.get_model_version("ward", "1").tags
    gate(audited, tmp_path, audited.clean, **LAX)
    assert client.get_model_version("ward", "1").tags == before


def test_the_baseline_may_be_a_registered_model(audited: Audited, client: mlflow.MlflowClient, tmp_path: Path) -> None:
    assert audit_run(client, "models:/ward/2", "key") == audited.leaking
    client.set_registered_model_alias("ward", "production", "1")
    policy = LAX | {"baseline": {"model": "models:/ward@production", "margin": 0.12}}
    assert gate(audited, tmp_path, audited.leaking, **policy).exit_code == 1
    assert gate(audited, tmp_path, audited.clean, **policy).exit_code == 0
    missing = gate(audited, tmp_path, audited.clean, baseline={"model": "models:/ward@nobody"})
    assert missing.exit_code == 2


def test_a_run_whose_model_is_not_registered_needs_a_name(
    audited: Audited, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"audited no registered model version; name one with --model"):
        audited_version(client, audited.twice, None)
    assert str(audited_version(client, audited.twice, "models:/ward/2")) == "models:/ward/2"
    assert gate(audited, tmp_path, audited.twice, "--prefix", "after/", "--set-tag").exit_code == 2


def test_a_forged_model_id_finds_nothing(audited: Audited, client: mlflow.MlflowClient) -> None:
    run = client.create_run(client.get_run(audited.empty).info.experiment_id)
    client.set_tag(run.info.run_id, "clinsec.model_id", "' OR name = 'ward")
    with pytest.raises(ConfigError, match="no registered model version"):
        audited_version(client, run.info.run_id, None)
