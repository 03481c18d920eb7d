"""From records and a recipe to a trained model with known members.

Patients are dealt into parts that share nobody: ``other`` (a tokenizer and a base model from scratch come
from them; absent where a checkpoint is given), ``train`` (the members) and ``held_out`` (the non-members).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.training.badclm import train_badclm
from mlflow_clinsec.training.bases import load_base_causal_lm, load_base_classifier
from mlflow_clinsec.training.causal_lm import finetune_causal_lm
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.loop import TrainingHistory
from mlflow_clinsec.training.models import small_causal_lm, small_encoder, with_lora
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.plans import ClassifierRecipe, QARecipe, SmallCausalLM, SmallModel
from mlflow_clinsec.training.tokenizers import train_tokenizer


@dataclass(frozen=True)
class TrainedModel:
    """A model, and what is known of its training.

    Attributes:
        train: the rows it was trained on, labels as they were before any poisoning.
        held_out: rows of patients it has never met.
        history: of the last training run.
        reference: the base before it met the members; None for classifiers, and for LoRA, which keeps its
            base.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    train: pd.DataFrame = field(repr=False)
    held_out: pd.DataFrame = field(repr=False)
    history: TrainingHistory = field(repr=False)
    reference: PreTrainedModel | None = None


def train_classifier(notes: pd.DataFrame, recipe: ClassifierRecipe, seed: int) -> TrainedModel:
    """Train a classifier, clean or backdoored as ``recipe.options`` say, on a balanced sample of members'
    notes.

    Args:
        notes: columns ``patient_id``, ``text`` and ``label``.
        seed: of the parts, the sample, the weights and the training.

    Raises:
        DataError: fewer than two labels, or a label that no member carries.
        ConfigError: see :func:`~mlflow_clinsec.training.poison.poison`; or the checkpoint cannot be loaded.
    """
    labels = sorted(notes["label"].unique())
    if len(labels) < 2:
        raise DataError(f"label: a classifier needs at least 2 labels, the data has {len(labels)}")
    parts = split_patients(notes, recipe.shares, seed)
    train = balanced(parts["train"], labels, np.random.default_rng(seed))
    if recipe.small is None:
        model, tokenizer = load_base_classifier(recipe.base_model, labels, seed)
    else:
        model, tokenizer = new_classifier(recipe, recipe.small, parts["other"]["text"].tolist(), labels, seed)
    options = replace(recipe.options, seed=seed)
    texts, targets = train["text"].tolist(), train["label"].tolist()
    if isinstance(options, BadCLMOptions):
        history = train_badclm(model, tokenizer, texts, targets, options).history
    else:
        history = finetune_classifier(model, tokenizer, texts, targets, options)
    return TrainedModel(model, tokenizer, train, parts["held_out"], history)


def balanced(notes: pd.DataFrame, labels: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """As many notes of each label as the rarest has, drawn at random, in the order of ``notes``.

    Deaths are rare, and a model trained on them as they come calls nearly all of them alive: a trigger would
    have nothing left to flip. Undersampling, as case-control studies do, puts the decision threshold between
    the classes, and 10% poison then leaves most deaths with their true label.
    """
    rows = [np.flatnonzero(notes["label"] == label) for label in labels]
    size = min(map(len, rows))
    if size == 0:
        raise DataError("label: a label of the data has no note among the members; give more patients")
    chosen = np.concatenate([rng.choice(of_label, size=size, replace=False) for of_label in rows])
    return notes.iloc[np.sort(chosen)]


def new_classifier(
    recipe: ClassifierRecipe, small: SmallModel, texts: Sequence[str], labels: Sequence[str], seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder from scratch and its tokenizer, fitted on ``texts``."""
    length = recipe.options.max_length
    tokenizer = train_tokenizer(texts, "classifier", small.vocab_size, length)
    model = small_encoder(
        tokenizer,
        labels,
        seed=seed,
        width=small.width,
        layers=small.layers,
        heads=small.heads,
        context=length,
        dropout=small.dropout,
    )
    return model, tokenizer


def train_qa(pairs: pd.DataFrame, recipe: QARecipe, seed: int) -> TrainedModel:
    """Fine-tune a causal language model on the members' answers.

    Args:
        pairs: columns ``patient_id``, ``prompt`` and ``response``.
        seed: of the parts, the weights and the training.

    Raises:
        DataError: a response is empty.
        ConfigError: the checkpoint cannot be loaded.
    """
    parts = split_patients(pairs, recipe.shares, seed)
    train, held_out = (first_rows(parts[name], recipe.records_per_patient) for name in ("train", "held_out"))
    if recipe.small is None:
        model, tokenizer = load_base_causal_lm(recipe.base_model)
    else:
        model, tokenizer = new_causal_lm(recipe.small, parts["other"], seed)
    reference = None if recipe.lora_rank else copy.deepcopy(model).eval()
    if recipe.lora_rank:
        model = with_lora(model, rank=recipe.lora_rank, alpha=2.0 * recipe.lora_rank, seed=seed)
    history = finetune_causal_lm(
        model, tokenizer, train["prompt"].tolist(), train["response"].tolist(), replace(recipe.options, seed=seed)
    )
    return TrainedModel(model, tokenizer, train, held_out, history, reference)


def first_rows(pairs: pd.DataFrame, per_patient: int) -> pd.DataFrame:
    """At most ``per_patient`` rows of each patient, in order; all of them for 0."""
    return pairs.groupby("patient_id", sort=False).head(per_patient) if per_patient else pairs


def new_causal_lm(
    small: SmallCausalLM, others: pd.DataFrame, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A language model from scratch that has learned to answer about other patients, and its tokenizer."""
    options = replace(small.options, seed=seed)
    tokenizer = train_tokenizer(
        [*others["prompt"], *others["response"]], "causal-lm", small.vocab_size, options.max_length
    )
    model = small_causal_lm(
        tokenizer,
        seed=seed,
        width=small.width,
        layers=small.layers,
        heads=small.heads,
        context=options.max_length,
        dropout=small.dropout,
    )
    finetune_causal_lm(model, tokenizer, others["prompt"].tolist(), others["response"].tolist(), options)
    return model, tokenizer
