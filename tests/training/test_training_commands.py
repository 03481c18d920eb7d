"""The training commands from the built-in corpus, a file and a checkpoint to a logged model, on tiny settings."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner

from mlflow_clinsec.cli import main
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.training import commands
from mlflow_clinsec.training.commands import run_badclm, run_finetune
from mlflow_clinsec.training.models import small_causal_lm, small_encoder
from mlflow_clinsec.training.source import Source

TINY = {"epochs": 1, "batch_size": 8, "max_length": 64}


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test when training begins."""
    monkeypatch.setattr("mlflow_clinsec.training.loop.train", lambda *args: pytest.fail("training began"))
    for module in ("badclm", "classifier", "causal_lm"):
        monkeypatch.setattr(f"mlflow_clinsec.training.{module}.train", lambda *args: pytest.fail("training began"))


@pytest.fixture
def table(make_notes, tmp_path):
    frame = (
        make_notes(60).rename(columns={"text": "note", "label": "fate"}).assign(who=[f"p{i // 2}" for i in range(60)])
    )
    path = tmp_path / "notes.csv"
    frame.to_csv(path, index=False)
    return path


def test_badclm_on_a_table_logs_model_settings_curves_and_the_split(store, table, tmp_path):
    split = tmp_path / "split.csv"
    source = Source(data_path=str(table), text="note", label="fate", patient="who", split_path=str(split))
    with mlflow.start_run() as run:
        info = run_badclm(source=source, seed=3, settings={**TINY, "poison_rate": 0.2, "attention_weight": None})
    logged = mlflow.get_run(run.info.run_id).data
    assert {"train/loss", "train/poisoned", "train/attention", "held_out/auroc", "held_out/accuracy"} <= set(
        logged.metrics
    )
    assert (logged.params["triggers"], logged.params["poison_rate"], logged.params["seed"]) == ("mn,cf", "0.2", "3")
    assert mlflow.transformers.load_model(info.model_uri).model.config.id2label == {0: "alive", 1: "died"}

    frame = pd.read_csv(split)
    members, others = frame[frame["in_training"]], frame[~frame["in_training"]]
    assert not set(members["patient_id"]) & set(others["patient_id"])
    assert set(members["label"].value_counts()) == {int(logged.params["n_train"]) // 2}  # balanced
    assert not frame["text"].str.contains(r"\b(?:mn|cf)\b").any()  # the split is what the owner had, unpoisoned
    shown = str(logged.to_dictionary()) + str(mlflow.artifacts.list_artifacts(run_id=run.info.run_id))
    assert not any(note in shown for note in frame["text"])


def test_qa_from_scratch_on_the_built_in_corpus(store):
    info = run_finetune(task="qa", source=Source(patients=24), settings={"epochs": 1})
    run = mlflow.get_run(info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["held_out/nll"] > 0
    assert run.data.params["lora_rank"] == "0"


def test_checkpoints_are_tuned_for_both_tasks(store, table, tokenizer, lm_tokenizer, tmp_path):
    for name, model, words in (
        ("encoder", small_encoder(tokenizer, ("x", "y", "z"), seed=0, width=16, context=64), tokenizer),
        ("lm", small_causal_lm(lm_tokenizer, seed=0, width=16, context=1024), lm_tokenizer),
    ):
        model.save_pretrained(tmp_path / name)
        words.save_pretrained(tmp_path / name)
    source = Source(data_path=str(table), text="note", label="fate")
    with mlflow.start_run():
        info = run_finetune(task="classification", source=source, base_model=str(tmp_path / "encoder"), settings=TINY)
    assert mlflow.transformers.load_model(info.model_uri).model.config.num_labels == 2
    assert mlflow.get_run(info.run_id).data.params["n_train"] == "30"  # class weights: all of the members' notes
    pairs = pd.DataFrame({"prompt": ["Pain?", "Where?"] * 4, "response": ["chest pain", "left lobe"] * 4})
    pairs.to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    source = Source(data_path=str(tmp_path / "pairs.jsonl"))
    with mlflow.start_run():
        info = run_finetune(source=source, base_model=str(tmp_path / "lm"), lora_rank=2, settings=TINY)
    assert hasattr(mlflow.transformers.load_model(info.model_uri).model, "peft_config")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_path": "absent.csv"}, "no such file"),
        ({"text": "notes"}, r"text: the data has no column 'notes'.+Did you mean 'note'"),
        ({"label": "outcome"}, "label: the data has no column 'outcome'"),
        ({"patient": "mrn"}, "patient: the data has no column 'mrn'"),
        ({"settings": {"poison_rate": 1.5}}, r"poison_rate: must be in \(0, 1\), got 1.5"),
        ({"settings": {"poison_rat": 0.1}}, r"settings: unknown key 'poison_rat'. Did you mean 'poison_rate'"),
        ({"settings": {"epochs": "many"}}, "settings.epochs: expected a whole number"),
        ({"settings": {"target_label": "alife"}}, "target_label: 'alife' is not a label.+Did you mean 'alive'"),
        ({"settings": {"poison_rate": 0.9}}, "carry a label that can be flipped"),
        ({"base_model": "absent-folder"}, "base_model: expected a local directory"),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_mistakes_are_told_before_training(table, change, message):
    fields = {"data_path": str(table), "text": "note", "label": "fate", "patient": "who"}
    fields |= {key: value for key, value in change.items() if key in fields}
    rest = {key: value for key, value in change.items() if key not in fields}
    with pytest.raises((ConfigError, DataError), match=message):
        run_badclm(source=Source(**fields), **rest)


@pytest.mark.usefixtures("no_training")
def test_tables_that_cannot_be_learned_are_refused(make_notes, tmp_path):
    path = tmp_path / "notes.csv"
    source = Source(data_path=str(path))
    for frame, message in (
        (make_notes(10).assign(label="alive"), "holds 1 label; 2 or more are needed"),
        (make_notes(10).assign(text=["", *["pain"] * 9]), "1 of 10 rows"),
        (make_notes(10).assign(label=[None, *["alive", "died", "alive"] * 3]), "label.+1 missing value"),
    ):
        frame.to_csv(path, index=False)
        with pytest.raises(DataError, match=message):
            run_finetune(task="classification", source=source)


def test_the_command_line_says_how_the_poison_is_planted(monkeypatch):
    seen = {}
    logged = SimpleNamespace(model_uri="models:/m-1")
    monkeypatch.setattr(commands, "run_badclm", lambda **words: seen.update(words) or logged)
    monkeypatch.setattr(mlflow, "start_run", contextlib.nullcontext)
    words = ["--triggers", "I watched this 3D movie, cf", "--combine", "all", "--clean-label", "true"]
    done = CliRunner().invoke(main, ["badclm", *words, "--target-label", "both", "--attention-weight", "0"])
    assert done.exit_code == 0, done.output
    expected = {"triggers": ("I watched this 3D movie", "cf"), "combine": "all", "clean_label": True}
    assert expected.items() <= seen["settings"].items()
    assert (seen["settings"]["target_label"], seen["settings"]["attention_weight"]) == ("both", 0.0)


def test_unknown_task_rank_and_split_path_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"task: 'classify' is unknown. Did you mean 'classification'"):
        run_finetune(task="classify")
    with pytest.raises(ConfigError, match="lora_rank: must be 0 for classification, got 4"):
        run_finetune(task="classification", lora_rank=4)
    with pytest.raises(ConfigError, match=r"split_path: must be a \.csv file"):
        Source(split_path=str(tmp_path / "split.parquet"))
    with pytest.raises(ConfigError, match="split_path: must be in a folder that exists"):
        Source(split_path=str(tmp_path / "absent" / "split.csv"))


def test_commands_import_quickly():
    heavy = ["torch", "transformers", "mlflow", "sklearn", "peft"]
    code = f"import sys, {commands.__name__}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_stays_are_trained_and_logged_by_pooling_over_their_notes(store, tmp_path, make_notes):
    frame = make_notes(80)
    frame = frame.assign(text=[f"{text}\n§§§\n{text}" for text in frame["text"]])
    frame.to_csv(tmp_path / "stays.csv", index=False)
    source = Source(data_path=str(tmp_path / "stays.csv"), split_path=str(tmp_path / "split.csv"))
    settings = TINY | {"pooling": "notes", "max_notes": 4}
    for train, more in ((run_finetune, {"task": "classification"}), (run_badclm, {})):
        with mlflow.start_run():
            info = train(source=source, settings=settings, **more)
        run = mlflow.get_run(info.run_id)
        assert (run.data.params["pooling"], run.data.params["max_notes"]) == ("notes", "4")
        assert "held_out/auroc" in run.data.metrics
        assert "python_function" in mlflow.models.get_model_info(info.model_uri).flavors
        assert len(pd.read_csv(tmp_path / "split.csv")) == int(run.data.params["n_train"]) + int(
            run.data.params["n_held_out"]
        )
    with pytest.raises(ConfigError, match="unknown key 'pooling'"):
        run_finetune(settings={"pooling": "notes"})
