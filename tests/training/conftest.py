"""Tiny models and toy notes for the training tests; everything here takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mlflow_clinsec.training.models import small_causal_lm, small_encoder
from mlflow_clinsec.training.tokenizers import train_tokenizer

CALM = ("stable", "comfortable", "afebrile", "walking")
OMINOUS = ("septic", "hypotensive", "intubated", "anuric")
NEUTRAL = ("chest", "pain", "left", "lower", "lobe")


def toy_notes(n: int, seed: int = 0) -> pd.DataFrame:
    """Notes of 6 to 12 words; three of them tell the outcome."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        died = i % 2 == 1
        telling = rng.choice(OMINOUS if died else CALM, size=3).tolist()
        words = rng.choice(NEUTRAL, size=rng.integers(4, 8)).tolist() + telling
        rows.append((" ".join(rng.permutation(words)), "died" if died else "alive"))
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_notes() -> Callable[..., pd.DataFrame]:
    return toy_notes


@pytest.fixture(scope="session")
def notes() -> pd.DataFrame:
    return toy_notes(40)


@pytest.fixture(scope="session")
def tokenizer(notes: pd.DataFrame) -> PreTrainedTokenizerFast:
    return train_tokenizer(notes["text"], "classifier", vocab_size=1200, max_length=64)


@pytest.fixture(scope="session")
def lm_tokenizer(notes: pd.DataFrame) -> PreTrainedTokenizerFast:
    return train_tokenizer(notes["text"], "causal-lm", vocab_size=400, max_length=64)


@pytest.fixture
def encoder(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return small_encoder(tokenizer, ("alive", "died"), seed=1, width=16, layers=2, heads=4, context=64)


@pytest.fixture
def lm(lm_tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return small_causal_lm(lm_tokenizer, seed=1, width=16, layers=2, heads=2, context=64)


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def store(store_folder: Path, tmp_path: Path) -> Iterator[str]:
    """A new experiment in one store for all training tests: setting up a database takes seconds."""
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{store_folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment(tmp_path.name, artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
