"""Models that are refused: before any record is sent, and with nothing left running or loaded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import tiny_models as tiny
from mlflow.models.evaluation.base import _get_model_from_function
from target_data import make_data
from transformers import pipeline

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets import huggingface
from mlflow_clinsec.targets import resolve as resolving
from mlflow_clinsec.targets.resolve import resolve


def test_a_reference_that_is_nowhere() -> None:
    with pytest.raises(TargetError, match="neither an MLflow URI"):
        resolve(None, data=make_data(), references=("gpt2",))


def test_an_endpoint_is_refused_before_any_record_is_sent() -> None:
    from mlflow.pyfunc.model import ModelFromDeploymentEndpoint, _PythonModelPyfuncWrapper

    wrapper = _PythonModelPyfuncWrapper(ModelFromDeploymentEndpoint("chat", {}), None, None)
    with pytest.raises(TargetError, match="leave this machine"):
        resolve(wrapper, data=make_data())


def _model_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "clinsec-model"}


def test_a_model_that_is_refused_leaves_no_thread(tmp_path: Path) -> None:
    before = _model_threads()

    def broken(texts: list[str]) -> list[str]:
        raise ValueError(texts[0])

    with pytest.raises(TargetError, match="ValueError"):
        resolve(_get_model_from_function(broken), data=make_data())
    with pytest.raises(TargetError, match="gives no probabilities"):
        resolve(
            _get_model_from_function(lambda texts: ["x"] * len(texts)), data=make_data(), references=(str(tmp_path),)
        )
    left = _model_threads() - before
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()]


def test_a_model_whose_reference_is_refused_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(huggingface, "place", lambda model, device: lambda: taken.append(device))
    monkeypatch.setattr(resolving, "_raw_pipeline", lambda model: model)
    model = pipeline("text-generation", model=tiny.tiny_gpt2(), tokenizer=tiny.word_tokenizer())
    with pytest.raises(TargetError, match=r"privacy\.reference"):
        resolve(model, data=make_data(), references=(str(tmp_path),))
    assert taken == ["auto"]
