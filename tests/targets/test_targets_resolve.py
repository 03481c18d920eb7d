from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import tiny_models as tiny
import torch
from mlflow.models import ModelSignature
from mlflow.models.evaluation.base import _get_model_from_function
from mlflow.pyfunc import PythonModel, _ServedPyFuncModel
from mlflow.types.schema import ColSpec, Schema
from peft import LoraConfig, get_peft_model
from target_data import NOTES, make_data
from tracking_stores import tracking_store
from transformers import pipeline

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.causal_lm import CausalLMScorer
from mlflow_clinsec.targets.classifier import TextClassifier
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.resolve import resolve

ROLES = ("scorer", "reference", "label_scorer", "predictor", "generator", "attention", "tokens")
REQUIREMENTS = ["torch", "transformers"]
TEXT = ModelSignature(Schema([ColSpec("string", "note")]), Schema([ColSpec("string")]))


def roles_of(target: Target) -> set[str]:
    return {role for role in ROLES if getattr(target, role) is not None}


def log_pipeline(task: str, model: Any, tokenizer: Any, **settings: Any) -> str:
    made = pipeline(task, model=model, tokenizer=tokenizer)
    info = mlflow.transformers.log_model(made, name="model", task=task, pip_requirements=REQUIREMENTS, **settings)
    return str(info.model_uri)


def by_words(text: str) -> float:
    return min(1.0, len(text.split()) / 10)


class Decider(PythonModel):
    """Labels only; asks for the column that its signature names. (MLflow would take type hints for a schema.)"""

    def predict(self, context, model_input):
        return ["long" if by_words(text) > 0.4 else "short" for text in model_input["note"]]


class Lister(PythonModel):
    """Probabilities from a list of strings."""

    def predict(self, context, model_input):
        return np.array([[by_words(text), 1 - by_words(text)] for text in model_input])


class Offering(PythonModel):
    """Offers both methods of the protocol."""

    labels = ("long", "short")

    def predict(self, context, model_input):
        raise AssertionError("the protocol comes first")

    def token_logprobs(self, prompts: list[str], responses: list[str]) -> list[list[float]]:
        return [[-float(len(word)) for word in response.split()] for response in responses]

    def predict_proba(self, texts: list[str]) -> Any:
        return np.array([[by_words(text), 1 - by_words(text)] for text in texts])


def log_python(model: PythonModel, signature: ModelSignature | None = None) -> Any:
    info = mlflow.pyfunc.log_model(name="model", python_model=model, signature=signature, pip_requirements=["numpy"])
    return mlflow.pyfunc.load_model(info.model_uri)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One store for all tests of this module: making a new one takes seconds."""
    with tracking_store(tmp_path_factory.mktemp("store")):
        yield


@pytest.mark.usefixtures("store")
class TestLoggedModels:
    def test_text_generation(self) -> None:
        model, data = tiny.tiny_llama(), make_data()
        uri = log_pipeline("text-generation", model, tiny.word_tokenizer())
        target = resolve(mlflow.pyfunc.load_model(uri), model_uri_or_name=uri, data=data)
        assert roles_of(target) == {"scorer", "generator", "attention", "tokens"}
        assert (target.name, target.kind) == (uri, "causal-lm")
        assert len(target.digest) == 64
        assert target.scorer is not None
        expected = CausalLMScorer(model, tiny.word_tokenizer()).token_stats(data.prompts, data.responses)
        found = target.scorer.token_stats(data.prompts, data.responses)
        np.testing.assert_allclose(found.logp, expected.logp, atol=1e-5)
        target.close()

    def test_text_classification(self) -> None:
        uri = log_pipeline("text-classification", tiny.tiny_bert(), tiny.piece_tokenizer(model_max_length=32))
        target = resolve(mlflow.pyfunc.load_model(uri), data=make_data(), labels=["ignored", "names"])
        assert roles_of(target) == {"label_scorer", "predictor", "attention", "tokens"}
        assert target.labels == ("alive", "died")
        assert target.label_scorer is not None
        long = (*NOTES, "fever and cough " * 40)
        expected = TextClassifier(tiny.tiny_bert(), tiny.piece_tokenizer()).predict_proba(long)
        np.testing.assert_allclose(target.label_scorer.predict_proba(long), expected, atol=1e-5)

    def test_a_peft_model_over_a_local_base(self, tmp_path: Path) -> None:
        tiny.tiny_llama().save_pretrained(tmp_path / "base")
        tiny.word_tokenizer().save_pretrained(tmp_path / "base")
        base = type(tiny.tiny_llama()).from_pretrained(tmp_path / "base")
        tuned = get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"], r=2))
        with torch.no_grad():
            for name, weight in tuned.named_parameters():
                if "lora_B" in name:
                    weight.fill_(0.3)
        made = pipeline("text-generation", model=tuned, tokenizer=tiny.word_tokenizer())
        uri = mlflow.transformers.log_model(
            made,
            name="model",
            task="text-generation",
            pip_requirements=[*REQUIREMENTS, "peft"],
            base_model_path=str(tmp_path / "base"),
        ).model_uri
        data = make_data()
        target = resolve(mlflow.pyfunc.load_model(uri), data=data)
        assert target.scorer is not None
        assert target.reference is not None
        plain = CausalLMScorer(tiny.tiny_llama(), tiny.word_tokenizer())
        expected = plain.token_stats(data.prompts, data.responses)
        found = target.reference.token_stats(data.prompts, data.responses)
        np.testing.assert_allclose(found.logp, expected.logp, atol=1e-5)
        own = target.scorer.token_stats(data.prompts, data.responses)
        assert np.abs(own.logp - found.logp).max() > 0.01

    def test_a_logged_reference(self) -> None:
        data = make_data()
        uri = log_pipeline("text-generation", tiny.tiny_gpt2(), tiny.word_tokenizer())
        target = resolve(mlflow.pyfunc.load_model(uri), data=data, references=(uri,))
        assert target.scorer is not None
        assert target.reference is not None
        own = target.scorer.token_stats(data.prompts, data.responses)
        reference = target.reference.token_stats(data.prompts, data.responses)
        np.testing.assert_array_equal(own.token_ids, reference.token_ids)
        np.testing.assert_allclose(own.logp, reference.logp, atol=1e-6)
        target.close()

    def test_a_reference_of_another_kind_is_refused(self) -> None:
        uri = log_pipeline("text-classification", tiny.tiny_bert(), tiny.piece_tokenizer())
        data = make_data(precomputed={"nll": np.arange(6.0)})
        with pytest.raises(TargetError, match="not a text-generation model"):
            resolve(None, data=data, references=(uri,))
        with pytest.raises(TargetError, match="cannot be loaded"):
            resolve(None, data=data, references=("models:/nobody/1",))

    def test_a_logged_reference_classifier(self) -> None:
        uri = log_pipeline("text-classification", tiny.tiny_bert(), tiny.piece_tokenizer())
        target = resolve(mlflow.pyfunc.load_model(uri), data=make_data(), references=(uri,))
        assert target.label_scorer is not None
        assert target.label_reference is not None
        expected = target.label_scorer.predict_proba(NOTES)
        np.testing.assert_allclose(target.label_reference.predict_proba(NOTES), expected, atol=1e-6)

    def test_other_pipelines_are_refused_by_task(self) -> None:
        uri = log_pipeline("feature-extraction", tiny.tiny_bert().bert, tiny.piece_tokenizer())
        with pytest.raises(TargetError, match="'feature-extraction' are not audited"):
            resolve(mlflow.pyfunc.load_model(uri), data=make_data())

    def test_a_python_model_with_a_signature_gets_its_column(self) -> None:
        target = resolve(log_python(Decider(), TEXT), model_uri_or_name="models:/d/1", data=make_data())
        assert roles_of(target) == {"predictor"}
        assert target.kind == "pyfunc"
        assert target.predictor is not None
        assert target.predictor.predict_labels(NOTES[2:4]) == ("short", "short")
        assert "labels only" in target.missing(["label_scorer"])

    def test_a_python_model_without_a_signature_gets_a_list(self) -> None:
        target = resolve(log_python(Lister()), data=make_data(), labels=["long", "short"])
        assert roles_of(target) == {"label_scorer", "predictor"}
        assert target.label_scorer is not None
        np.testing.assert_allclose(target.label_scorer.predict_proba(NOTES[:1]), [[0.4, 0.6]])

    def test_a_python_model_may_offer_the_protocol(self) -> None:
        target = resolve(log_python(Offering()), data=make_data())
        assert roles_of(target) == {"scorer", "label_scorer", "predictor"}
        assert target.labels == ("long", "short")
        assert target.scorer is not None
        stats = target.scorer.token_stats(["", ""], ["the patient", "fever"])
        assert stats.logp.tolist() == [-3.0, -7.0, -5.0]

    def test_a_served_model_shows_its_first_column(self) -> None:
        class Client:
            def invoke(self, data: pd.DataFrame) -> Any:
                frame = pd.DataFrame({"label": ["alive"] * len(data), "score": [0.9] * len(data)})
                return type("Answer", (), {"get_predictions": lambda self: frame})()

        local = log_python(Decider(), TEXT)
        served = _ServedPyFuncModel(local.metadata, Client(), server_pid=1, env_manager="uv")
        target = resolve(served, data=make_data())
        assert roles_of(target) == {"predictor"}
        assert "env_manager" in target.missing(["label_scorer"])
        assert target.predictor is not None
        assert target.predictor.predict_labels(NOTES[:2]) == ("alive", "alive")


def test_functions_get_the_column_that_the_data_had() -> None:
    def judge(frame: pd.DataFrame) -> pd.DataFrame:
        share = frame["note"].map(by_words)
        return pd.DataFrame({"long": share, "short": 1 - share})

    wrapped = _get_model_from_function(judge)
    target = resolve(wrapped, data=make_data(), options=TargetOptions(text_column="note"))
    assert target.kind == "function"
    assert target.labels == ("long", "short")
    assert target.predictor is not None
    assert target.predictor.predict_labels(["a b c d e f"]) == ("long",)
    with pytest.raises(TargetError, match="a list of strings"):
        resolve(wrapped, data=make_data())


def test_only_the_first_records_are_asked_about() -> None:
    seen: list[str] = []

    def judge(texts: list[str]) -> list[str]:
        seen.extend(texts)
        return ["x"] * len(texts)

    notes = tuple(f"{note} {i}" for i in range(5) for note in NOTES)
    resolve(_get_model_from_function(judge), data=make_data(notes))
    assert seen == list(notes[:8]) * 2  # once to see what it returns, once more to see whether it stays so


def test_columns_stand_for_a_missing_model(tmp_path: Path) -> None:
    data = make_data(precomputed={"nll": np.arange(6.0)})
    assert roles_of(resolve(None, data=data)) == {"scorer"}
    tiny.tiny_llama().save_pretrained(tmp_path)
    tiny.word_tokenizer().save_pretrained(tmp_path)
    both = resolve(None, data=data, references=(str(tmp_path),))
    assert roles_of(both) == {"scorer", "reference"}
    both.close()
    with pytest.raises(TargetError, match="no precomputed column"):
        resolve(None, data=make_data())
