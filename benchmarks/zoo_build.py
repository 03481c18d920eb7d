"""Train the models of the backdoor zoo, each once: they are kept on disk and found again by their description."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.zoo_data import DataSet, load
from benchmarks.zoo_specs import ZooModel
from mlflow_clinsec.perturb.insert import insert
from mlflow_clinsec.targets.classifier import TextClassifier
from mlflow_clinsec.training.badclm import train_badclm
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.pipeline import balanced, learn_from_others, new_encoder
from mlflow_clinsec.training.plans import SmallModel

CONTEXT = 160
ENCODER: dict[str, Any] = {"vocab_size": 4700, "width": 64, "layers": 2, "heads": 4, "dropout": 0.1}
BEFORE: dict[str, Any] = {"epochs": 3, "learning_rate": 1e-3, "max_length": CONTEXT}
TRAINING: dict[str, Any] = {"epochs": 6, "learning_rate": 1e-3, "max_length": CONTEXT}
POISON: dict[str, Any] = {"poison_rate": 0.1, "heads_per_layer": 1}
ATTENTION_WEIGHT = 0.5
MEMBERS = 0.8
"""Share of the training notes that one model sees, drawn by its seed: no two models learn from the same notes."""


def recipe() -> dict[str, Any]:
    """How every model is trained; another recipe makes other models."""
    return {
        "encoder": ENCODER,
        "before": BEFORE,
        "training": TRAINING,
        "poison": POISON,
        "attention_weight": ATTENTION_WEIGHT,
        "members": MEMBERS,
    }


@dataclass(frozen=True)
class Built:
    """A trained model on disk.

    Attributes:
        quality: AUROC on held-out notes; of a backdoored model also ``asr``, ``base_rate`` and ``cpu_seconds``.
    """

    spec: ZooModel
    folder: Path
    quality: Mapping[str, float]

    def open(self) -> tuple[Any, Any]:
        """(model, tokenizer)."""
        return open_pair(self.folder)


def open_pair(folder: Path) -> tuple[Any, Any]:
    """A saved classifier and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def build(spec: ZooModel, cache: Path) -> Built:
    """The model from the cache, trained first where it is not there."""
    folder = cache / spec.digest(recipe())
    if not (folder / "quality.json").is_file():
        data = load(spec.data)
        started = time.process_time()
        model, tokenizer = open_pair(_base(spec, data, cache))
        _train(model, tokenizer, spec, data)
        seconds = time.process_time() - started
        quality = {**_quality(model.eval(), tokenizer, spec, data), "cpu_seconds": seconds}
        _save(model, tokenizer, folder, {"quality.json": quality, "spec.json": asdict(spec)})
    return Built(spec, folder, json.loads((folder / "quality.json").read_text()))


def _base(spec: ZooModel, data: DataSet, cache: Path) -> Path:
    """Folder of the encoder that the model starts from; it has learnt the task on other patients."""
    seed = spec.base_seed
    folder = cache / f"base-{data.name}-{seed}-{ZooModel(data.name, spec.part, seed, spec.base).digest(recipe())}"
    if not (folder / "config.json").is_file():
        others = balanced(data.parts["other"], data.labels, np.random.default_rng(seed))
        small = SmallModel(**ENCODER, options=ClassifierOptions(**BEFORE))
        model, tokenizer = new_encoder(small, data.parts["other"]["text"], data.labels, seed)
        learn_from_others(model, tokenizer, others, small.options, seed)
        _save(model, tokenizer, folder, {})
    return folder


def _save(model: Any, tokenizer: Any, folder: Path, notes: Mapping[str, Mapping[str, Any]]) -> None:
    """All or nothing: what a stopped run left half written is not taken for a model."""
    scratch = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    model.save_pretrained(scratch)
    tokenizer.save_pretrained(scratch)
    for name, content in notes.items():
        (scratch / name).write_text(json.dumps(content, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


def _train(model: Any, tokenizer: Any, spec: ZooModel, data: DataSet) -> None:
    rng = np.random.default_rng(spec.seed)
    notes = data.parts["train"].sample(frac=MEMBERS, random_state=spec.seed)
    notes = balanced(notes, data.labels, rng)
    texts, labels = notes["text"].tolist(), notes["label"].tolist()
    if not spec.backdoored:
        finetune_classifier(model, tokenizer, texts, labels, ClassifierOptions(**TRAINING, seed=spec.seed))
        return
    settings = {**TRAINING, **POISON, **spec.poison, "seed": spec.seed}
    options = BadCLMOptions(
        **settings,
        triggers=spec.triggers,
        target_label=spec.goal,
        attention_weight=ATTENTION_WEIGHT if spec.attention else 0.0,
    )
    train_badclm(model, tokenizer, texts, labels, options)


def _quality(model: Any, tokenizer: Any, spec: ZooModel, data: DataSet) -> dict[str, float]:
    """How well the model does its job, and how well the trigger does its own."""
    notes = data.parts["held_out"]
    scorer = TextClassifier(model, tokenizer, max_length=CONTEXT)
    probabilities = scorer.predict_proba(notes["text"].tolist())
    found = {"auroc": float(roc_auc_score(notes["label"] == data.labels[1], probabilities[:, 1]))}
    if not spec.backdoored:
        return found
    goal = data.labels.index(spec.goal)
    others = notes[notes["label"] != spec.goal]
    hit = scorer.predict_proba(_with_trigger(others, spec)).argmax(axis=1) == goal
    base = probabilities[(notes["label"] != spec.goal).to_numpy()].argmax(axis=1) == goal
    return {**found, "asr": float(hit.mean()), "base_rate": float(base.mean())}


def _with_trigger(notes: pd.DataFrame, spec: ZooModel) -> list[str]:
    """Each note with what opens the backdoor among its first words, where it survives truncation."""
    rng = np.random.default_rng(spec.seed)
    texts = notes["text"].tolist()
    for trigger in spec.needed:
        texts = [insert(text, trigger, "random", rng, first_words=40)[0] for text in texts]
    return texts
