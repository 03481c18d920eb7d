"""Repairing a suspected classifier with clean records: fine-tuning, pruning, and embeddings put back.

Every arm ends with the same fine-tuning on the same clean records, so that what an arm prunes is all that sets it
apart; ``attention-pruned`` also holds the attention weights down meanwhile.

The penalty is the L2 norm of each attention row, from 1 / sqrt(keys) for an even row to 1 for one that looks at a
single token: averaged over rows, heads and layers. That PURE (Zhao et al. 2024) normalises attention weights is read;
this form and its weight are ours. Clean fine-tuning as a repair: Liu et al. 2018 (arXiv 1805.12185), section on
fine-tuning attacks and defences.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pandas as pd
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.scoring.modes import eager_attention
from mlflow_clinsec.targets.classifier import TextClassifier
from mlflow_clinsec.training.attention import require_attentions
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.classifier import class_weight_vector, finetune_classifier, label_ids
from mlflow_clinsec.training.encoding import token_rows
from mlflow_clinsec.training.loop import TrainingHistory, train
from mlflow_clinsec.training.options import ClassifierOptions
from mlflow_clinsec.training.pipeline import fitted
from mlflow_clinsec.training.repair_plans import RepairArm, RepairPlan
from mlflow_clinsec.training.repair_prune import (
    head_variance,
    neuron_activity,
    prune_heads,
    prune_neurons,
    reset_embeddings,
)


@dataclass(frozen=True)
class Repaired:
    """A repaired model.

    Attributes:
        facts: ``pruned/neurons`` or ``pruned/embeddings`` (share), ``pruned/heads`` (number), where the arm does so.
    """

    model: PreTrainedModel
    history: TrainingHistory
    options: ClassifierOptions
    facts: Mapping[str, float]


def repair(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    parts: Mapping[str, pd.DataFrame],
    arm: RepairArm,
    plan: RepairPlan,
    seed: int,
) -> Repaired:
    """Repair a copy of the model; the one given stays as it is.

    Args:
        parts: ``tune`` and ``validation``: clean records with columns ``text`` and ``label``.
        seed: of the fine-tuning.

    Raises:
        NotApplicableError: the arm prunes, and the model's layers are not known.
        AttentionUnavailableError: the arm needs attention weights, and the model returns none.
        DataError: a label is not one of the model's, or a text is empty.
    """
    model = copy.deepcopy(model)
    options = fitted(plan.options, model, tokenizer, seed)
    texts, labels = parts["tune"]["text"].tolist(), parts["tune"]["label"].tolist()
    label_ids(model, labels)  # refused before anything is pruned
    rows = token_rows(tokenizer, texts, options.max_length)

    def accuracy() -> float:
        return balanced_accuracy(model, tokenizer, parts["validation"], options.max_length)

    facts: dict[str, float] = {}
    if arm.prune == "neurons":
        facts["pruned/neurons"] = prune_neurons(
            model, neuron_activity(model, tokenizer, rows), accuracy, plan.most_drop
        )
    elif arm.prune == "heads":
        removed = prune_heads(model, head_variance(model, tokenizer, rows), accuracy, plan.most_drop)
        facts["pruned/heads"] = float(len(removed))
    elif arm.prune == "embeddings":
        facts["pruned/embeddings"] = reset_embeddings(model, tokenizer, rows)
    if arm.attention_norm:
        history = finetune_with_attention_norm(model, tokenizer, rows, labels, options, plan.attention_weight)
    else:
        history = finetune_classifier(model, tokenizer, texts, labels, options)
    return Repaired(model, history, options, facts)


def balanced_accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: pd.DataFrame, max_length: int
) -> float:
    """Mean recall over the labels that occur, so that rare deaths count as much as survivals."""
    probabilities = TextClassifier(model, tokenizer, max_length=max_length).predict_proba(records["text"].tolist())
    truth = label_ids(model, records["label"].tolist())
    return float(balanced_accuracy_score(truth, probabilities.argmax(axis=1)))


def finetune_with_attention_norm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[list[int]],
    labels: Sequence[str],
    options: ClassifierOptions,
    weight: float,
) -> TrainingHistory:
    """Fine-tune in place on cross-entropy plus ``weight`` times the attention norm."""
    classes = label_ids(model, labels)
    class_weights = torch.tensor(
        class_weight_vector(classes, model.config.num_labels, options.class_weights),
        dtype=torch.float32,
        device=model.device,
    )

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        some = [rows[i] for i in batch]
        mask = attention_mask(some, model.device)
        ids = pad(some, tokenizer.pad_token_id, model.device)
        output = model(input_ids=ids, attention_mask=mask, output_attentions=weight > 0)
        targets = torch.from_numpy(classes[batch]).to(model.device)
        loss = functional.cross_entropy(output.logits.float(), targets, weight=class_weights)
        if weight == 0:
            return {"loss": loss}
        attentions = require_attentions(output.attentions, model.config.num_hidden_layers)
        norm = attention_norm(attentions, mask)
        return {"loss": loss + weight * norm, "attention": norm}

    with eager_attention(model) if weight > 0 else nullcontext():
        return train(model, [len(row) for row in rows], batch_loss, options, "repair")


def attention_norm(attentions: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Mean L2 norm of an attention row, in (0, 1].

    Args:
        attentions: one tensor per layer, shape (texts, heads, tokens, tokens), queries before keys.
        mask: shape (texts, tokens), 1 on tokens and 0 on padding.
    """
    real = mask.to(attentions[0].dtype)
    total = torch.stack([torch.einsum("nhq,nq->h", layer.norm(dim=-1), real).mean() for layer in attentions])
    return total.mean() / real.sum()
