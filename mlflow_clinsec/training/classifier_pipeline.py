"""From notes and a recipe to a trained classifier, clean or backdoored; see :mod:`mlflow_clinsec.training.pipeline`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.training.badclm import check_badclm, train_badclm
from mlflow_clinsec.training.bases import load_base_classifier
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.pipeline import (
    TrainedModel,
    balanced,
    fitted,
    learn_from_others,
    new_encoder,
    on_accelerator,
)
from mlflow_clinsec.training.plans import ClassifierRecipe


@dataclass(frozen=True)
class ClassifierStart:
    """Where the fine-tuning of a classifier starts, the same for a clean and for every backdoored one.

    Attributes:
        train: the members' notes that are learned.
        held_out: notes of patients it never meets.
        model: the base, which has met neither.
    """

    train: pd.DataFrame = field(repr=False)
    held_out: pd.DataFrame = field(repr=False)
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def train_classifier(notes: pd.DataFrame, recipe: ClassifierRecipe, seed: int) -> TrainedModel:
    """Train a classifier, clean or backdoored as ``recipe.options`` say, on the members' notes.

    With class weights all their notes are used, else a balanced sample of them.

    Args:
        notes: columns ``patient_id``, ``text`` and ``label``.
        seed: of the parts, the sample, the weights and the training.

    Raises:
        DataError: fewer than two labels, or a label that no member carries.
        ConfigError: see :func:`~mlflow_clinsec.training.poison.poison`; or the checkpoint cannot be loaded.
    """
    start = start_classifier(notes, recipe, seed, (recipe.options,))
    return tune_classifier(start, recipe.options, seed)


def start_classifier(
    notes: pd.DataFrame, recipe: ClassifierRecipe, seed: int, plans: Sequence[ClassifierOptions]
) -> ClassifierStart:
    """Deal the patients into parts and make the base: the checkpoint, or a small model that learned from ``other``.

    Args:
        plans: what is to be trained from it; poison that cannot work is refused before anything is learned.

    Raises:
        DataError, ConfigError: see :func:`train_classifier`.
    """
    labels = sorted(notes["label"].unique())
    if len(labels) < 2:
        raise DataError(f"label: a classifier needs at least 2 labels, the data has {len(labels)}")
    parts = split_patients(notes, recipe.shares, seed)
    rng = np.random.default_rng(seed)
    train = parts["train"]
    if recipe.options.class_weights == "none":
        train = balanced(train, labels, rng)
    if recipe.small is None:
        model, tokenizer = load_base_classifier(recipe.base_model, labels, seed)
    else:
        model, tokenizer = new_encoder(recipe.small, parts["other"]["text"], labels, seed)
    model = on_accelerator(model)
    for plan in plans:
        if isinstance(plan, BadCLMOptions):
            check_badclm(model, tokenizer, train["label"].tolist(), fitted(plan, model, tokenizer, seed))
    if recipe.small is not None:
        learn_from_others(model, tokenizer, balanced(parts["other"], labels, rng), recipe.small.options, seed)
    return ClassifierStart(train, parts["held_out"], model, tokenizer)


def tune_classifier(start: ClassifierStart, options: ClassifierOptions, seed: int) -> TrainedModel:
    """Train the start's own model, clean or backdoored as ``options`` say; copy it first to keep it."""
    model, tokenizer = start.model, start.tokenizer
    options = fitted(options, model, tokenizer, seed)
    texts, labels = start.train["text"].tolist(), start.train["label"].tolist()
    if isinstance(options, BadCLMOptions):
        history = train_badclm(model, tokenizer, texts, labels, options).history
    else:
        history = finetune_classifier(model, tokenizer, texts, labels, options)
    return TrainedModel(model, tokenizer, start.train, start.held_out, history)
