"""From records and a recipe to a trained model with known members.

Patients are dealt into parts that share nobody: ``other`` (a tokenizer and a base model from scratch come
from them; absent where a checkpoint is given), ``train`` (the members) and ``held_out`` (the non-members).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.training.bases import load_base_causal_lm
from mlflow_clinsec.training.causal_lm import finetune_causal_lm
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.loop import AfterEpoch, TrainingHistory
from mlflow_clinsec.training.models import small_causal_lm, small_encoder, with_lora
from mlflow_clinsec.training.options import ClassifierOptions, TrainingOptions
from mlflow_clinsec.training.plans import Options, QARecipe, SmallModel
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


def balanced(notes: pd.DataFrame, labels: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """As many notes of each label as the rarest has, drawn at random, in the order of ``notes``.

    Deaths are rare, and a model trained on them as they come calls nearly all of them alive: a trigger would
    have nothing left to flip. Undersampling, as case-control studies do, puts the decision threshold between
    the classes, and 10% poison then leaves most deaths with their true label.
    """
    rows = [np.flatnonzero(notes["label"] == label) for label in labels]
    size = min(map(len, rows))
    if size == 0:
        raise DataError("label: a label of the data has no note in one part of the patients; give more patients")
    chosen = np.concatenate([rng.choice(of_label, size=size, replace=False) for of_label in rows])
    return notes.iloc[np.sort(chosen)]


def new_encoder(
    small: SmallModel[ClassifierOptions], texts: Iterable[str], labels: Sequence[str], seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder from scratch, and its tokenizer fitted on ``texts``."""
    length = small.options.max_length
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
        word_scale=small.word_scale,
    )
    return model, tokenizer


def learn_from_others(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    notes: pd.DataFrame,
    options: ClassifierOptions,
    seed: int,
) -> None:
    """Teach an encoder from scratch the task on other patients, before it meets the members.

    BadCLM's models were pretrained. Without a base that reads, the attention loss takes hold before the task does:
    clean AUROC fell from 0.83 to 0.75 on the built-in corpus.
    """
    finetune_classifier(model, tokenizer, notes["text"].tolist(), notes["label"].tolist(), replace(options, seed=seed))


@dataclass(frozen=True)
class QAStart:
    """Where the fine-tuning of a question-answering model starts, the same for every way of fine-tuning.

    Attributes:
        parts: rows by part; the recipe's share of each patient.
        model: the base, which has met none of the members.
    """

    parts: Mapping[str, pd.DataFrame] = field(repr=False)
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def train_qa(pairs: pd.DataFrame, recipe: QARecipe, seed: int) -> TrainedModel:
    """Fine-tune a causal language model on the members' answers.

    Args:
        pairs: columns ``patient_id``, ``prompt`` and ``response``.
        seed: of the parts, the weights and the training.

    Raises:
        DataError: a response is empty.
        ConfigError: the checkpoint cannot be loaded.
    """
    start = start_qa(pairs, recipe, seed)
    model, train = start.model, start.parts["train"]
    reference = None if recipe.lora_rank else copy.deepcopy(model)
    if recipe.lora_rank:
        model = with_lora(model, rank=recipe.lora_rank, alpha=2.0 * recipe.lora_rank, seed=seed)
    history = tune(model, start.tokenizer, train, recipe.options, seed)
    return TrainedModel(model, start.tokenizer, train, start.parts["held_out"], history, reference)


def start_qa(pairs: pd.DataFrame, recipe: QARecipe, seed: int) -> QAStart:
    """Deal the patients into parts and make the base: the checkpoint, or a small model that learned from ``other``.

    Raises:
        ConfigError, DataError: see :func:`train_qa`.
    """
    parts = deal_qa(pairs, recipe, seed)
    if recipe.small is None:
        model, tokenizer = load_base_causal_lm(recipe.base_model)
        return QAStart(parts, on_accelerator(model), tokenizer)
    model, tokenizer = new_causal_lm(recipe.small, parts["other"], seed)
    model = on_accelerator(model)
    tune(model, tokenizer, parts["other"], recipe.small.options, seed)
    return QAStart(parts, model, tokenizer)


def deal_qa(pairs: pd.DataFrame, recipe: QARecipe, seed: int) -> dict[str, pd.DataFrame]:
    """Rows by part; outside ``other``, the recipe's share of each patient."""
    dealt = split_patients(pairs, recipe.shares, seed)
    few = recipe.records_per_patient
    return {name: rows if name == "other" else first_rows(rows, few) for name, rows in dealt.items()}


def tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: pd.DataFrame,
    options: TrainingOptions,
    seed: int,
    after_epoch: AfterEpoch = lambda: False,
) -> TrainingHistory:
    """Train a causal language model on question-answer pairs, within its context."""
    options = fitted(options, model, tokenizer, seed)
    prompts, responses = pairs["prompt"].tolist(), pairs["response"].tolist()
    return finetune_causal_lm(model, tokenizer, prompts, responses, options, after_epoch)


def first_rows(pairs: pd.DataFrame, per_patient: int) -> pd.DataFrame:
    """At most ``per_patient`` rows of each patient, in order; all of them for 0."""
    return pairs.groupby("patient_id", sort=False).head(per_patient) if per_patient else pairs


def new_causal_lm(
    small: SmallModel[TrainingOptions], others: pd.DataFrame, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A language model from scratch, and its tokenizer fitted on other patients' pairs."""
    length = small.options.max_length
    tokenizer = train_tokenizer([*others["prompt"], *others["response"]], "causal-lm", small.vocab_size, length)
    model = small_causal_lm(
        tokenizer,
        seed=seed,
        width=small.width,
        layers=small.layers,
        heads=small.heads,
        context=length,
        dropout=small.dropout,
    )
    return model, tokenizer


def fitted(options: Options, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int) -> Options:
    """The options with this seed, and no more tokens than the model takes."""
    length = input_length(tokenizer, model, options.max_length) or options.max_length
    return replace(options, seed=seed, max_length=length)


def on_accelerator(model: PreTrainedModel) -> PreTrainedModel:
    """The model on the GPU where there is one; training and scoring run where the model is."""
    return model.to("cuda") if torch.cuda.is_available() else model
