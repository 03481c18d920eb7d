"""The comparison of defences: what reaches the tracking store, and mistakes on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner, Result

from mlflow_clinsec.cli import main
from mlflow_clinsec.comparison import FIGURE, HEADINGS, TABLE, Outcome, cells, flat, log_comparison
from mlflow_clinsec.defences import run_defences
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.training.defence_plans import choose_arms, make_plan
from mlflow_clinsec.training.source import Source

BASE = {"nll": Estimate(3.5, 3.4, 3.6, 20)}


def outcome(arm: str, auc: float, **facts: float) -> Outcome:
    metrics = {
        f"clinsec/privacy/worst_auc{end}": auc + step for end, step in (("", 0), ("_low", -0.05), ("_high", 0.04))
    }
    utility = {
        "nll": Estimate(3.0, 2.9, 3.1, 20),
        "token_accuracy": Estimate(0.4, 0.35, 0.45, 20),
        "exact_match": Estimate(0.0, float("nan"), float("nan"), 20),
    }
    return Outcome(arm, utility, metrics, {"training/rows": 100.0, **facts}, "FAIL")


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["defences", *words])


def test_a_line_of_the_table() -> None:
    line = dict(zip(HEADINGS, cells(outcome("dp", 0.7, **{"dp/epsilon": 7.994})), strict=True))
    assert line["arm"] == "dp"
    assert line["epsilon"] == "7.99"
    assert line["worst AUC"] == "0.700 (0.650 to 0.740)"
    assert line["held-out NLL"] == "3.000 (2.900 to 3.100)"
    assert cells(outcome("plain", 0.7))[HEADINGS.index("epsilon")] == "-"


def test_bounds_that_are_unknown_are_no_metrics() -> None:
    found = flat(outcome("plain", 0.7).utility, "plain/")
    assert found["plain/nll_low"] == 2.9
    assert "plain/exact_match" in found
    assert "plain/exact_match_low" not in found


def test_the_parent_run_gets_table_figure_note_and_metrics(tracking: str, tmp_path: Path) -> None:
    with mlflow.start_run() as parent:
        log_comparison([outcome("plain", 0.9), outcome("dp", float("nan"))], BASE, 0.6)
    run_id = parent.info.run_id
    data = mlflow.get_run(run_id).data
    assert data.metrics["plain/worst_auc"] == 0.9
    assert data.metrics["plain/worst_auc_high"] == pytest.approx(0.94)
    assert data.metrics["plain/nll"] == 3.0
    note = data.tags["mlflow.note.content"]
    assert "| plain | 100 |" in note
    assert "3.500" in note
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(run_id)}
    assert {TABLE, FIGURE} <= names
    folder = mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "got"))
    table = json.loads((Path(folder) / TABLE).read_text())
    assert table["columns"] == list(HEADINGS)
    assert [row[0] for row in table["data"]] == ["plain", "dp"]
    assert (Path(folder) / FIGURE).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arms", "plane"], "arms: 'plane' is unknown. Did you mean 'plain'"),
        (["--epochs", "x"], "--epochs: expected a number or 'default', got 'x'"),
        (["--epochs", "0"], "epochs: must be at least 1, got 0"),
        (["--patients", "0"], "--patients: must be at least 1, got 0"),
        (["--epsilon", "-1"], "target_epsilon: must be above 0, got -1.0"),
        (["--epsilon", "nan"], "target_epsilon"),
        (["--unit", "ward"], "unit: 'ward' is not allowed. Allowed: patient, record"),
        (["--max-auc", "1.5"], "policy.max_auc: must be at least 0.5 and at most 1.0"),
        (["--data-path", "absent.csv"], "data path: no such file"),
        (["--layout", "mimic-iv"], "layout: 'mimic-iv' is unknown. Did you mean 'mimic-iv-ext-instr'"),
        (["--layout", "qa-table"], "data_path: must be a file or folder where a layout is named"),
        (["--layout", "qa-table", "--data-path", "absent.csv"], "table: no such file"),
        (["--base-model", "absent"], "base_model: expected a local directory"),
        (["--patients", "3"], "gets none of the 3 patients"),
    ],
)
def test_mistakes_exit_two_and_open_no_run(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opacus")
    monkeypatch.setattr("mlflow.start_run", lambda *args, **names: pytest.fail("a run was opened"))
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert len(done.output.splitlines()) == 1


def test_a_budget_that_no_noise_keeps_is_told_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opacus")
    monkeypatch.setattr("mlflow.start_run", lambda *args, **names: pytest.fail("a run was opened"))
    plan = make_plan("small", 1000, {"target_epsilon": 1e-6, "delta": 1e-12})
    with pytest.raises(ConfigError, match="target_epsilon: 1e-06 is too low for 1000 steps"):
        run_defences(choose_arms("plain,dp"), plan, Source(patients=40), 0, {}, print)


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus", None)
    done = run()
    assert done.exit_code == 2
    assert "pip install 'mlflow-clinsec[dp]'" in done.output


@pytest.mark.slow
def test_arms_are_child_runs_that_can_be_compared(tracking: str) -> None:
    pytest.importorskip("opacus")
    done = run("--arms", "plain,deduplicated,dp", "--patients", "80", "--epochs", "1", "--seed", "1")
    assert done.exit_code == 0, done.output
    client = mlflow.MlflowClient()
    runs = client.search_runs([mlflow.get_experiment_by_name("audit").experiment_id])
    [parent] = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = {r.info.run_name: r.data for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert set(children) == {"plain", "deduplicated", "dp"}
    for name, data in children.items():
        assert data.tags["clinsec.verdict"] in ("PASS", "FAIL", "INCONCLUSIVE")
        assert {"clinsec/privacy/worst_auc", "held_out/nll", "held_out/token_accuracy", "held_out/exact_match"} <= set(
            data.metrics
        )
        assert parent.data.metrics[f"{name}/nll"] == data.metrics["held_out/nll"]
        assert parent.data.metrics[f"{name}/worst_auc"] == data.metrics["clinsec/privacy/worst_auc"]
        assert data.params["arm"] == name
        assert name in done.output
    assert children["deduplicated"].metrics["training/rows"] < children["plain"].metrics["training/rows"]
    assert children["dp"].metrics["dp/epsilon"] == pytest.approx(8.0, abs=0.02)
    assert children["dp"].params["unit"] == "patient"
    assert parent.data.metrics["base/nll"] > 0
    assert {TABLE, FIGURE} <= {item.path for item in client.list_artifacts(parent.info.run_id)}
