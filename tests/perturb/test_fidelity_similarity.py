"""The embedding floor: the cosine against one by hand, long texts, and its place in the gate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from masked_models import mask_tokenizer, saved, tiny_encoder

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.similarity import MeanPooledEncoder

FIRST, SECOND = "the patient has fever .", "no pain in left chest"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tiny_encoder(), mask_tokenizer(), tmp_path_factory.mktemp("encoder"))


def pooled(text: str) -> np.ndarray:
    ids = torch.tensor([mask_tokenizer()(text)["input_ids"]])
    with torch.no_grad():
        return tiny_encoder()(input_ids=ids).last_hidden_state[0].mean(dim=0).numpy()


def test_the_cosine_of_mean_pooled_states(folder: str) -> None:
    one, other = pooled(FIRST), pooled(SECOND)
    expected = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    assert MeanPooledEncoder(folder).similarity(FIRST, SECOND) == pytest.approx(float(expected), abs=1e-5)


def test_a_text_is_like_itself_however_long(folder: str) -> None:
    encoder = MeanPooledEncoder(folder)
    long = " ".join(["fever"] * 100 + ["cough"] * 100)
    assert encoder.similarity(long, long) == pytest.approx(1.0)
    # the end counts too: a model that cut texts at 32 tokens would see no difference
    assert encoder.similarity(long, " ".join(["fever"] * 200)) < 0.9999


def test_the_floor_is_asked_last_and_refuses() -> None:
    asked = []

    def half(first: str, second: str) -> float:
        asked.append(second)
        return 0.5

    gate = FidelityGate(0.0, 1.0, 0.5, half)
    assert gate.refusal("aspirin 81 mg daily", "ASA 81 mg daily") == ""
    assert gate.refusal("aspirin 81 mg daily", "ASA 18 mg daily") == "number"
    assert asked == ["ASA 81 mg daily"]
    assert FidelityGate(0.0, 1.0, 0.6, half).refusal("aspirin 81 mg daily", "ASA 81 mg daily") == "dissimilar"


def test_a_similarity_that_is_no_number_is_refused() -> None:
    assert FidelityGate(0.0, 1.0, -1.0, lambda a, b: math.nan).refusal("one word", "other word") == "dissimilar"


def test_refusals_are_counted_in_an_audit(folder: str) -> None:
    data = AuditData(("",), ("HTN and CAD s/p CABG. Takes Lasix 40 mg BID.",), np.arange(1))
    strict = ParaphraseOptions(count=1, encoder=folder, min_similarity=1.0)
    made = paraphrase_records(data, strict, np.random.default_rng(0))
    assert made.accepted.tolist() == [0]
    assert set(made.refusals) == {"dissimilar"}
    loose = ParaphraseOptions(count=1, encoder=folder, min_similarity=-1.0)
    assert paraphrase_records(data, loose, np.random.default_rng(0)).accepted.tolist() == [1]
    assert strict.cache_settings() != loose.cache_settings()
    assert strict.cache_settings() != ParaphraseOptions(count=1).cache_settings()


def test_other_weights_are_another_encoder(folder: str, tmp_path: Path) -> None:
    changed = tiny_encoder()
    with torch.no_grad():
        changed.embeddings.word_embeddings.weight[3, 3] += 1
    other = MeanPooledEncoder(saved(changed, mask_tokenizer(), tmp_path / "other"))
    assert other.digest != MeanPooledEncoder(folder).digest


def test_a_folder_without_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paraphrase\.encoder"):
        MeanPooledEncoder(str(tmp_path))
