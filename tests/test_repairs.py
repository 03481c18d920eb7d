"""The comparison of repairs: what reaches the tracking store, and mistakes on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mlflow_clinsec.cli import main
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.repairs import (
    ASR,
    AUROC,
    BEFORE,
    CACC,
    EXCESS,
    FIGURE,
    HEADINGS,
    TABLE,
    Outcome,
    Suspect,
    audit_config,
    cells,
    log_repairs,
    run_repairs,
)
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.options import ClassifierOptions
from mlflow_clinsec.training.repair_plans import ARMS, RepairPlan, choose_repairs
from mlflow_clinsec.training.tokenizers import train_tokenizer


def outcome(arm: str, excess: float, **facts: float) -> Outcome:
    ends = (("", 0.0), ("_low", -0.1), ("_high", 0.1))
    metrics = {f"{name}{end}": excess + step for name in (EXCESS, ASR, AUROC, CACC) for end, step in ends}
    return Outcome(arm, metrics, facts, "FAIL")


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["repair", *words])


def test_a_line_of_the_table() -> None:
    line = dict(zip(HEADINGS, cells(outcome("fine-pruned", 0.5, **{"pruned/neurons": 0.3})), strict=True))
    assert line["pruned"] == "30% of neurons"
    assert line["worst excess ASR"] == "0.500 (0.400 to 0.600)"
    assert dict(zip(HEADINGS, cells(outcome("a", 0.5, **{"pruned/heads": 3.0})), strict=True))["pruned"] == "3 heads"
    assert cells(outcome("a", 0.5, **{"pruned/embeddings": 0.476}))[1] == "48% of embeddings"
    skipped = cells(Outcome("fine-pruned", {}, {}, "skipped: GPT2"))
    assert skipped == ("fine-pruned", "-", "-", "-", "-", "-", "skipped: GPT2")


def test_the_parent_run_gets_table_figure_note_and_metrics(tracking: str, tmp_path: Path) -> None:
    with mlflow.start_run() as parent:
        log_repairs([outcome(BEFORE, 0.7), outcome("fine-tuned", 0.2), Outcome("fine-pruned", {}, {}, "skipped")], 0.1)
    run_id = parent.info.run_id
    data = mlflow.get_run(run_id).data
    assert data.metrics["suspect/worst_excess_asr"] == 0.7
    assert data.metrics["fine-tuned/worst_excess_asr_high"] == pytest.approx(0.3)
    assert not any(name.startswith("fine-pruned/") for name in data.metrics)
    assert "| suspect | - | 0.700 (0.600 to 0.800)" in data.tags["mlflow.note.content"]
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "got")))
    assert {TABLE, FIGURE} <= {path.name for path in folder.iterdir()}
    assert [row[0] for row in json.loads((folder / TABLE).read_text())["data"]] == [BEFORE, "fine-tuned", "fine-pruned"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--arms", "prune"), "arms: 'prune' is unknown"),
        (("--model-uri", "models:/m/1"), "--model-uri and --data-path go together"),
        (("--data-path", "notes.csv"), "--model-uri and --data-path go together"),
        (("--poison-rate", "1.5"), "--poison-rate: must be above 0 and below 1, got 1.5"),
        (("--patients", "0"), "--patients: must be at least 1, got 0"),
        (("--epochs", "many"), "--epochs: expected a number or 'default', got 'many'"),
        (("--epochs", "0"), "epochs: must be at least 1, got 0"),
        (("--learning-rate", "-1"), "learning_rate: must be above 0"),
        (("--triggers", "mn,,cf"), "backdoor.triggers[1]: need a word"),
        (("--max-records", "1"), "max_records: must be at least 2, got 1"),
        (("--model-uri", "nowhere", "--data-path", "nowhere.csv"), "--model-uri: 'nowhere' is neither"),
    ],
)
def test_mistakes_on_the_command_line(words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.slow
def test_suspect_and_arms_are_child_runs_audited_on_the_same_patients(tracking: str, tmp_path: Path) -> None:
    notes = generate_corpus(400, 0).notes.rename(columns={"outcome": "label"})
    tokenizer = train_tokenizer(notes["text"], "classifier", vocab_size=900, max_length=64)
    model = small_encoder(tokenizer, ("alive", "died"), seed=0, width=16, layers=1, heads=2, context=64)
    options = ClassifierOptions(epochs=1, learning_rate=1e-3, max_length=64)
    plan = RepairPlan(options=options, shares={"tune": 0.4, "validation": 0.2, "audit": 0.4}, most_drop=0.9)
    config = audit_config({"triggers": ["mn"], "target_label": "alive", "max_records": 20}, {}, 0)
    said: list[str] = []
    found = run_repairs(ARMS, plan, lambda: Suspect(model, tokenizer, notes), config, 0, said.append)
    names = [BEFORE, *(arm.name for arm in ARMS)]
    assert [one.arm for one in found] == names
    client = mlflow.MlflowClient()
    runs = client.search_runs([mlflow.get_experiment_by_name("audit").experiment_id])
    [parent] = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = {r.info.run_name: r.data for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert set(children) == set(names)
    for name, data in children.items():
        assert data.tags["clinsec.verdict"] in ("PASS", "FAIL", "INCONCLUSIVE")
        assert parent.data.metrics[f"{name}/auroc"] == data.metrics[AUROC]
        assert any(name in line for line in said)
    assert children["fine-pruned"].metrics["pruned/neurons"] > 0
    assert children["attention-pruned"].metrics["pruned/heads"] == 1
    counted = {data.params.get("n_audit") for name, data in children.items() if name != BEFORE}
    assert len(counted) == 1


@pytest.mark.slow
def test_a_model_and_notes_of_the_users_own(tracking: str, tmp_path: Path) -> None:
    notes = generate_corpus(300, 0).notes.rename(columns={"outcome": "died", "patient_id": "mrn"})
    tokenizer = train_tokenizer(notes["text"], "classifier", vocab_size=900, max_length=64)
    small_encoder(tokenizer, ("alive", "died"), seed=0, width=16, layers=1, heads=2, context=64).save_pretrained(
        tmp_path / "model"
    )
    tokenizer.save_pretrained(tmp_path / "model")
    notes.to_csv(tmp_path / "notes.csv", index=False)
    place = ("--model-uri", str(tmp_path / "model"), "--data-path", str(tmp_path / "notes.csv"))
    columns = ("--label", "died", "--patient", "mrn", "--target-label", "alive", "--max-records", "15")
    done = run(*place, *columns, "--arms", "fine-tuned", "--triggers", "mn", "--epochs", "1")
    assert done.exit_code == 0, done.output
    assert "suspect" in done.output
    assert not pd.isna(mlflow.last_active_run())
    assert [arm.name for arm in choose_repairs("fine-tuned")] == ["fine-tuned"]
