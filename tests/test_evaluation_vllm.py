"""A whole audit whose token log-probabilities come from vLLM, through MLflow; a stand-in takes vLLM's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fake_vllm
import mlflow
import pandas as pd
import pytest
import tiny_models as tiny
from sklearn.metrics import roc_auc_score
from tracking_stores import PRIVACY, evaluate, tracking_store

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.huggingface import causal_lm_target


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A logged language model, and the folder of its reference."""
    folder = tmp_path_factory.mktemp("vllm")
    tiny.tiny_gpt2().save_pretrained(folder / "reference")
    tiny.word_tokenizer().save_pretrained(folder / "reference")
    with tracking_store(folder), mlflow.start_run():
        parts = {"model": tiny.tiny_llama(), "tokenizer": tiny.word_tokenizer()}
        info = mlflow.transformers.log_model(
            parts, name="model", task="text-generation", pip_requirements=["torch", "transformers"]
        )
        mlflow.end_run()
        yield info.model_uri, str(folder / "reference")


def records(n: int = 40) -> pd.DataFrame:
    """Short notes of as many patients, every other one a member."""
    words = tiny.WORDS[:13]
    notes = [" ".join(words[(i * k) % 13] for k in range(1, 4 + i % 5)) for i in range(1, n + 1)]
    return pd.DataFrame({"text": notes, "patient_id": range(n), "in_training": [i % 2 == 0 for i in range(n)]})


def settings(reference: str) -> dict[str, Any]:
    privacy = PRIVACY | {"attacks": ["loss", "min_k_plus_plus", "ez"], "reference": reference, "permutations": 999}
    return {"privacy": privacy, "scoring": {"backend": "vllm"}, "report": {"figures": False}}


def test_the_scores_of_transformers(logged: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fake_vllm.install(monkeypatch)
    result, run = evaluate(logged[0], records(), settings(logged[1]))
    assert sum(seen.calls) == 2 * (1 + 40)  # two engines: each tried once, and asked for each record once
    assert (seen.shut, seen.cleaned) == (2, 1)
    plain = causal_lm_target(tiny.tiny_llama(), tiny.word_tokenizer())
    assert plain.scorer is not None
    nll = plain.scorer.token_stats([""] * 40, list(records()["text"])).nll()
    expected = roc_auc_score(records()["in_training"], -nll)
    assert result.metrics["clinsec/privacy/loss/auc"] == pytest.approx(expected, abs=1e-6)
    assert "clinsec/privacy/ez/auc" in result.metrics
    assert "clinsec/privacy/min_k_plus_plus/auc" not in result.metrics
    report = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/clinsec/audit.json")
    [skipped] = [each for each in report["results"] if each["name"] == "min_k_plus_plus"]
    assert skipped["status"] == "skipped"
    assert "whole next-token distribution" in skipped["reason"]


def test_where_it_is_not_installed(logged: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow_clinsec.targets.vllm_engine.find_spec", lambda name: None)
    with pytest.raises(TargetError, match="pip install vllm"):
        evaluate(logged[0], records(), settings(logged[1]))
