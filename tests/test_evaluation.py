"""`mlflow.models.evaluate(..., evaluators="clinsec")` with every kind of model and data that MLflow takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from tracking_stores import PRIVACY, evaluate, tracking_store, with_members
from transformers import AutoModelForCausalLM

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.errors import ClinSecError
from mlflow_clinsec.training.log import log_trained_model
from mlflow_clinsec.training.models import small_causal_lm, small_encoder, with_lora
from mlflow_clinsec.training.tokenizers import train_tokenizer

REQUIREMENTS = ["torch", "transformers"]
BACKDOOR = {"triggers": ["mn"], "target_label": "alive", "positions": ["head"], "max_records": 24}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("store")
    with tracking_store(folder):
        yield folder


@pytest.fixture(scope="module")
def corpus() -> Any:
    return generate_corpus(80, seed=5)


@pytest.fixture(scope="module")
def qa(corpus: Any) -> pd.DataFrame:
    return with_members(corpus.qa.groupby("patient_id").head(1).head(60))


@pytest.fixture(scope="module")
def notes(corpus: Any) -> pd.DataFrame:
    return with_members(corpus.notes.groupby("patient_id").head(1).head(60))


@pytest.fixture(scope="module")
def language_model(store: Path, corpus: Any) -> Any:
    tokenizer = train_tokenizer(corpus.qa["response"], "causal-lm", vocab_size=400)
    model = small_causal_lm(tokenizer, seed=0, width=32, layers=1, heads=2)
    return _log(model, tokenizer, "text-generation", "qa")


@pytest.fixture(scope="module")
def classifier(store: Path, corpus: Any) -> Any:
    tokenizer = train_tokenizer(corpus.notes["text"], "classifier", vocab_size=400)
    model = small_encoder(tokenizer, ("alive", "died"), seed=0, width=32, layers=2, heads=2)
    return _log(model, tokenizer, "text-classification", "mortality")


def _log(model: Any, tokenizer: Any, task: str, name: str) -> Any:
    with mlflow.start_run():
        info = mlflow.transformers.log_model(
            {"model": model, "tokenizer": tokenizer},
            name=name,
            task=task,
            pip_requirements=REQUIREMENTS,
            registered_model_name=name,
        )
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", 1)
    return info


def _points(run: Any) -> dict[str, int]:
    client = mlflow.MlflowClient()
    return {name: len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics}


MODEL_URIS: dict[str, Callable[[Any], Any]] = {
    "runs": lambda info: f"runs:/{info.run_id}/{info.name}",
    "version": lambda info: f"models:/{info.name}/1",
    "alias": lambda info: f"models:/{info.name}@champion",
    "logged model": lambda info: f"models:/{info.model_id}",
    "pyfunc": lambda info: mlflow.pyfunc.load_model(info.model_uri),
}


@pytest.mark.parametrize("kind", MODEL_URIS)
def test_language_model_by_every_uri(kind: str, language_model: Any, qa: pd.DataFrame) -> None:
    result, run = evaluate(MODEL_URIS[kind](language_model), qa, {"privacy": PRIVACY | {"attacks": ["loss"]}})
    assert 0 <= result.metrics["clinsec/privacy/loss/auc"] <= 1
    assert run.data.metrics["clinsec/privacy/loss/auc"] == pytest.approx(result.metrics["clinsec/privacy/loss/auc"])
    assert set(_points(run).values()) == {1}
    logged = mlflow.MlflowClient().get_logged_model(language_model.model_id)
    mine = [m for m in logged.metrics if m.run_id == run.info.run_id and m.key == "clinsec/privacy/loss/auc"]
    assert len(mine) == 1
    assert mine[0].dataset_name


def test_all_default_attacks_on_a_language_model(language_model: Any, qa: pd.DataFrame) -> None:
    result, run = evaluate(language_model.model_uri, qa, {"privacy": PRIVACY})
    ran = {name.split("/")[2] for name in result.metrics if name.endswith("/auc")}
    assert {"loss", "zlib", "min_k", "min_k_plus_plus", "paraphrase_gap", "paraphrase_only", "blind"} <= ran
    assert run.data.tags["clinsec.verdict"] in {"PASS", "FAIL", "INCONCLUSIVE"}
    card = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id, "clinsec")}
    assert {"clinsec/audit_card.html", "clinsec/audit.json"} <= card


@pytest.mark.parametrize("data_kind", ["frame", "mlflow dataset", "with targets"])
def test_classifier_with_every_kind_of_data(data_kind: str, classifier: Any, notes: pd.DataFrame) -> None:
    config = {"privacy": PRIVACY, "backdoor": BACKDOOR, "data": {"label": "outcome", "text": "text"}}
    arguments: dict[str, Any] = {}
    data: Any = notes
    if data_kind == "mlflow dataset":
        data = mlflow.data.from_pandas(notes, targets="outcome")
    elif data_kind == "with targets":
        arguments["targets"] = "outcome"
        config = config | {"data": {"text": "text"}}
    result, run = evaluate(classifier.model_uri, data, config, **arguments)
    assert "clinsec/backdoor/worst_excess_asr" in result.metrics
    assert "clinsec/privacy/confidence/auc" in result.metrics
    assert set(_points(run).values()) == {1}


def test_numpy_data(classifier: Any, notes: pd.DataFrame) -> None:
    config = {
        "privacy": {**PRIVACY, "member": "feature_2", "group": "feature_3"},
        "data": {"text": "feature_1"},
    }
    table = notes[["text", "in_training", "patient_id"]].to_numpy(dtype=object)
    labels = notes["outcome"].to_numpy()
    result, _ = evaluate(classifier.model_uri, table, config, targets=labels)
    assert 0 <= result.metrics["clinsec/privacy/confidence/auc"] <= 1


def test_a_peft_model_brings_its_base_as_reference(store: Path, corpus: Any, qa: pd.DataFrame, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(corpus.qa["response"], "causal-lm", vocab_size=400)
    base = small_causal_lm(tokenizer, seed=0, width=32, layers=1, heads=2)
    base.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model = with_lora(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), rank=4, alpha=64.0, seed=0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # a fresh adapter changes nothing: make this one count
                weight.fill_(0.05)
    with mlflow.start_run():
        info = log_trained_model(
            model, tokenizer, task="text-generation", name="adapter", base_model_path=str(tmp_path / "base")
        )
    result, _ = evaluate(info.model_uri, qa, {"privacy": PRIVACY | {"attacks": ["reference", "log_ratio"]}})
    assert 0 <= result.metrics["clinsec/privacy/log_ratio/auc"] <= 1
    assert result.metrics["clinsec/privacy/reference/coverage"] == 1.0


def _save(folder: Path, *parts: Any) -> str:
    for part in parts:
        part.save_pretrained(folder)
    return str(folder)


def test_several_references_serve_the_attacks_with_shadow_models(
    language_model: Any, corpus: Any, qa: pd.DataFrame, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(corpus.qa["response"], "causal-lm", vocab_size=400)
    shadows = [small_causal_lm(tokenizer, seed=seed, width=32, layers=1, heads=2) for seed in (1, 2)]
    places = [_save(tmp_path / str(i), model, tokenizer) for i, model in enumerate(shadows)]
    asked = {"attacks": ["lira", "rmia", "log_ratio"], "reference": places}
    result, _ = evaluate(language_model.model_uri, qa, {"privacy": PRIVACY | asked})
    assert all(0 <= result.metrics[f"clinsec/privacy/{name}/auc"] <= 1 for name in asked["attacks"])
    assert result.metrics["clinsec/privacy/rmia/coverage"] == 0.75


def test_reference_classifiers_serve_theirs(classifier: Any, corpus: Any, notes: pd.DataFrame, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(corpus.notes["text"], "classifier", vocab_size=400)
    shadows = [small_encoder(tokenizer, ("died", "alive"), seed=seed, width=32, layers=2, heads=2) for seed in (1, 2)]
    places = [_save(tmp_path / str(i), model, tokenizer) for i, model in enumerate(shadows)]
    asked = {"attacks": ["lira_classifier", "rmia_classifier", "per_class"], "reference": places}
    config = {"privacy": PRIVACY | asked, "data": {"label": "outcome", "text": "text"}}
    result, _ = evaluate(classifier.model_uri, notes, config)
    assert all(0 <= result.metrics[f"clinsec/privacy/{name}/auc"] <= 1 for name in asked["attacks"])


def test_flat_and_nested_config_give_the_same_numbers(language_model: Any, qa: pd.DataFrame) -> None:
    config = {"privacy": PRIVACY | {"attacks": ["loss", "zlib"]}}
    flat, _ = evaluate(language_model.model_uri, qa, config)
    nested, _ = evaluate(language_model.model_uri, qa, {"clinsec": config})
    assert flat.metrics == nested.metrics


def test_the_older_spelling_works(language_model: Any, qa: pd.DataFrame) -> None:
    with mlflow.start_run(), pytest.warns(FutureWarning):
        result = mlflow.evaluate(
            language_model.model_uri,
            qa,
            model_type="clinical",
            evaluators=["clinsec"],
            evaluator_config={"clinsec": {"privacy": PRIVACY | {"attacks": ["loss"]}}},
        )
    assert "clinsec/privacy/loss/auc" in result.metrics


def test_metric_prefix(language_model: Any, qa: pd.DataFrame) -> None:
    config = {"privacy": PRIVACY | {"attacks": ["loss"]}, "metric_prefix": "val_"}
    result, _ = evaluate(language_model.model_uri, qa, config)
    assert "val_clinsec/privacy/loss/auc" in result.metrics


def test_same_seed_same_numbers_other_seed_other_intervals(language_model: Any, qa: pd.DataFrame) -> None:
    config = {"privacy": PRIVACY | {"attacks": ["loss", "paraphrase_gap"]}}
    one, _ = evaluate(language_model.model_uri, qa, config)
    same, _ = evaluate(language_model.model_uri, qa, config)
    other, _ = evaluate(language_model.model_uri, qa, config | {"seed": 1})
    assert one.metrics == same.metrics
    assert one.metrics["clinsec/privacy/loss/auc_low"] != other.metrics["clinsec/privacy/loss/auc_low"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"privacy": PRIVACY, "polcy": {}}, "Did you mean 'policy'"),
    "unknown attack": ({"privacy": PRIVACY | {"attacks": ["los"]}}, "Did you mean 'loss'"),
    "missing column": ({"privacy": PRIVACY | {"member": "nope"}}, "no column 'nope'"),
    "unknown label": (
        {"backdoor": BACKDOOR | {"target_label": "alve"}, "data": {"label": "outcome", "text": "text"}},
        "Did you mean 'alive'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_logs_nothing(case: str, classifier: Any, notes: pd.DataFrame) -> None:
    config, message = BAD[case]
    with mlflow.start_run() as run, pytest.raises(ClinSecError, match=message):
        mlflow.models.evaluate(
            model=classifier.model_uri, data=notes, model_type="x", evaluators="clinsec", evaluator_config=config
        )
    left = mlflow.get_run(run.info.run_id)
    assert not left.data.metrics
    assert not mlflow.MlflowClient().list_artifacts(run.info.run_id)
    assert not [tag for tag in left.data.tags if tag.startswith("clinsec")]


def test_a_config_that_asks_for_nothing(classifier: Any, notes: pd.DataFrame) -> None:
    with mlflow.start_run(), pytest.raises(MlflowException, match="could not be evaluated by any"):
        mlflow.models.evaluate(classifier.model_uri, notes, model_type="x", evaluators="clinsec", evaluator_config={})


def test_json_says_what_the_metrics_say(language_model: Any, qa: pd.DataFrame) -> None:
    result, run = evaluate(language_model.model_uri, qa, {"privacy": PRIVACY | {"attacks": ["loss"]}})
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="clinsec/audit.json")
    loss = next(r for r in json.loads(Path(path).read_text())["results"] if r["name"] == "loss")
    assert loss["estimates"]["auc"]["value"] == pytest.approx(result.metrics["clinsec/privacy/loss/auc"])


def test_no_record_reaches_the_store(store: Path, classifier: Any, notes: pd.DataFrame) -> None:
    marked = notes.assign(
        text=[f"CANARYTEXT{i} {text}" for i, text in enumerate(notes["text"])],
        patient_id=[f"CANARYID{i}" for i in range(len(notes))],
    )
    config = {"privacy": PRIVACY, "backdoor": BACKDOOR, "data": {"label": "outcome", "text": "text"}}
    evaluate(classifier.model_uri, marked, config)
    found = [path for path in store.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]
    assert found == []
