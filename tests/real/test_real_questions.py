"""Membership on real question-answer pairs: a small causal language model trained on half of the topics."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from real_models import audit, write_down

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.training.log import log_trained_model
from mlflow_clinsec.training.options import TrainingOptions
from mlflow_clinsec.training.pipeline import train_qa
from mlflow_clinsec.training.plans import QARecipe, SmallModel

pytestmark = pytest.mark.slow

TOPICS = 1200
RECIPE = QARecipe(
    shares={"other": 0.5, "train": 0.25, "held_out": 0.25},
    small=SmallModel(
        vocab_size=4000,
        width=128,
        layers=2,
        heads=4,
        dropout=0.0,
        options=TrainingOptions(epochs=2, learning_rate=2e-3, batch_size=16, max_length=384),
    ),
    options=TrainingOptions(epochs=8, learning_rate=2e-3, batch_size=16, max_length=384),
)


def test_answers_learned_by_heart_are_found(tracking: str, shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "qa-medquad" / "medquad_one_per_topic.csv").dropna(subset=["topic"])
    pairs = table.rename(columns={"question": "prompt", "answer": "response", "topic": "patient_id"})
    pairs = pairs[["patient_id", "prompt", "response"]].drop_duplicates("patient_id").sample(TOPICS, random_state=0)
    trained = train_qa(pairs.reset_index(drop=True), RECIPE, seed=0)
    base = log_trained_model(trained.reference, trained.tokenizer, task="text-generation", name="real-qa-base")
    info = log_trained_model(trained.model, trained.tokenizer, task="text-generation", name="real-qa")
    data = pd.concat([trained.train.assign(in_training=True), trained.held_out.assign(in_training=False)])
    metrics, verdict = audit(
        info.model_uri,
        data.reset_index(drop=True),
        {
            "privacy": {
                "member": "in_training",
                "group": "patient_id",
                "split": "random",
                "reference": base.model_uri,
            }
        },
    )
    write_down("real-qa", metrics, verdict)
    assert verdict == "FAIL"
    assert metrics["clinsec/privacy/loss/auc"] > 0.6
    assert metrics["clinsec/privacy/reference/auc"] > metrics["clinsec/privacy/loss/auc"]
    assert metrics["clinsec/privacy/blind/auc_low"] < 0.5 < metrics["clinsec/privacy/blind/auc_high"]


def test_topics_are_split_whole(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "qa-medquad" / "medquad_one_per_topic.csv").dropna(subset=["topic"])
    sides = split_patients(table, {"a": 0.5, "b": 0.5}, seed=0, column="topic")
    assert not set(sides["a"]["topic"]) & set(sides["b"]["topic"])
