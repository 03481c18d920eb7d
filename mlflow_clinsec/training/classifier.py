"""Plain fine-tuning of a text classifier: the clean model that a backdoored one is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.errors import DataError, did_you_mean
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.encoding import token_rows
from mlflow_clinsec.training.loop import TrainingHistory, train
from mlflow_clinsec.training.options import ClassifierOptions, ClassWeights


def finetune_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    labels: Sequence[str],
    options: ClassifierOptions,
) -> TrainingHistory:
    """Fine-tune a sequence classifier in place with cross-entropy.

    Args:
        model: its ``config.label2id`` names the classes.
        texts, labels: the training set, n each.

    Raises:
        DataError: a text is empty, or a label is not one of the model's classes.
        ClinSecError: the loss diverged.
    """
    classes = label_ids(model, labels)
    rows = token_rows(tokenizer, texts, options.max_length)
    weights = class_weight_vector(classes, model.config.num_labels, options.class_weights)
    device_weights = torch.tensor(weights, dtype=torch.float32, device=model.device)

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        inputs = [rows[i] for i in batch]
        logits = model(
            input_ids=pad(inputs, tokenizer.pad_token_id, model.device),
            attention_mask=attention_mask(inputs, model.device),
        ).logits
        targets = torch.from_numpy(classes[batch]).to(model.device)
        return {"loss": functional.cross_entropy(logits.float(), targets, weight=device_weights)}

    with frozen_embeddings(model, options.freeze_embeddings):
        return train(model, [len(row) for row in rows], batch_loss, options, "classifier")


@contextmanager
def frozen_embeddings(model: PreTrainedModel, wanted: bool) -> Iterator[None]:
    """Keep the word embeddings as they are while in the block, where ``wanted``."""
    frozen = [model.get_input_embeddings().weight] if wanted else []
    before = [weight.requires_grad for weight in frozen]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, trained in zip(frozen, before, strict=True):
            weight.requires_grad_(trained)


def label_ids(model: PreTrainedModel, labels: Sequence[str]) -> IntArray:
    """Class index of each label, shape (n,)."""
    known = model.config.label2id
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise DataError(
            f"labels: {len(unknown)} label(s) are not among the model's classes.{did_you_mean(unknown[0], known)}"
        )
    return np.array([known[label] for label in labels], dtype=np.int64)


def class_weight_vector(classes: IntArray, n_classes: int, weighting: ClassWeights) -> list[float]:
    """One weight per class: 1, or n / (k * count) so that the k classes present weigh alike."""
    if weighting == "none":
        return [1.0] * n_classes
    counts = np.bincount(classes, minlength=n_classes)
    present = np.count_nonzero(counts)
    return [float(len(classes) / (present * count)) if count else 0.0 for count in counts]
