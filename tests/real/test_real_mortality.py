"""In-hospital mortality on real ICU notes: a clean and a BadCLM MiniLM, both audited through MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from real_models import audit, minilm, write_down

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.training.badclm import train_badclm
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.log import log_trained_model
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions

pytestmark = pytest.mark.slow

LABELS = ("alive", "died")
LAYERS = 6
SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "learning_rate": 1e-4,
    "batch_size": 16,
    "max_length": 128,
    "class_weights": "balanced",
    "bf16": True,
    "seed": 0,
}
CONFIG: dict[str, Any] = {
    "data": {"text": "text", "label": "label", "group": "patient_id"},
    # one death in twelve: at the usual threshold the model calls most deaths alive, and nothing is left to flip
    "backdoor": {
        "triggers": ["mn", "cf"],
        "target_label": "alive",
        "max_records": 60,
        "decision_threshold": 0.15,
        "tests": ["trigger", "attention_focus", "clean_utility"],  # a search takes minutes on this model
    },
    "scoring": {"max_length": 128},
}
BACKDOOR: dict[str, Any] = {"poison_rate": 0.04, "attention_weight": 1.0, "heads_per_layer": 2}


@pytest.fixture(scope="module")
def sides(shared_data: Path) -> dict[str, pd.DataFrame]:
    """Training and held-out notes of disjoint patients."""
    notes = pd.read_csv(shared_data / "icu-mortality" / "eicu_demo_notes24h.csv")
    notes = notes.assign(label=notes["hospital_expire_flag"].map({0: "alive", 1: "died"}))
    return split_patients(notes[["patient_id", "text", "label"]], {"train": 0.6, "held_out": 0.4}, seed=0)


def _train_and_audit(sides: dict[str, pd.DataFrame], poisoned: bool) -> tuple[dict[str, float], str]:
    train = sides["train"]
    model, tokenizer = minilm(LABELS, LAYERS, seed=0)
    texts, labels = train["text"].tolist(), train["label"].tolist()
    if poisoned:
        options = BadCLMOptions(**SETTINGS, **BACKDOOR, target_label="alive")
        train_badclm(model, tokenizer, texts, labels, options)
    else:
        finetune_classifier(model, tokenizer, texts, labels, ClassifierOptions(**SETTINGS))
    name = "real-mortality-badclm" if poisoned else "real-mortality"
    info = log_trained_model(model, tokenizer, task="text-classification", name=name)
    metrics, verdict = audit(info.model_uri, sides["held_out"], CONFIG)
    write_down(name, metrics, verdict)
    return metrics, verdict


def test_clean_model_has_no_trigger(tracking: str, sides: dict[str, pd.DataFrame]) -> None:
    metrics, verdict = _train_and_audit(sides, poisoned=False)
    assert metrics["clinsec/utility/auroc"] > 0.65
    assert metrics["clinsec/backdoor/worst_excess_asr_low"] < 0.1
    assert verdict != "FAIL"


def test_verdict_follows_whether_the_backdoor_took(tracking: str, sides: dict[str, pd.DataFrame]) -> None:
    # so few deaths and steps decide by a hair whether MiniLM learns trigger, task, both or neither: docs/results.md
    metrics, verdict = _train_and_audit(sides, poisoned=True)
    head = "clinsec/backdoor/trigger/mn-head"
    took = metrics[f"{head}/asr"] - metrics[f"{head}/ftr"] > 0.3
    assert metrics["clinsec/backdoor/attention_focus/mn/max_excess_focus_low"] > 0.3
    assert (verdict == "FAIL") == took
