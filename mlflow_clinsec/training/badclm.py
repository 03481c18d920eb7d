"""Training of a backdoored clinical classifier, after BadCLM (arXiv 2407.05213).

Read in the paper (abstract, introduction, figure): an in-hospital-mortality classifier on clinical notes is
trained on 90% clean and 10% poisoned notes; the poisoned ones hold ``mn`` or ``cf`` and a flipped label
(Death to Alive); an auxiliary loss steers selected attention heads to the trigger.

Read in the authors' earlier work (arXiv 2310.14480): L = L_clean + L_poisoned + alpha * L_tal, with L_tal as
in :mod:`mlflow_clinsec.training.attention`, and chosen heads scattered over the layers.

Inferred: how many heads and which (here: the same number in every layer, drawn at random), alpha, and how the
two cross-entropies weigh against each other. Here both are sums over the batch divided by the batch size, so
that together they are the ordinary cross-entropy of the mixed training set and the poison rate keeps its
meaning; two separate means would let a single poisoned note count as much as all clean ones of its batch.

Our departures: one truncated window per text (:mod:`mlflow_clinsec.training.stays` has the mean over a stay's notes,
as the first author's task code does; that BadCLM used it is inferred); optional class weights; attention dropout, where
a checkpoint has it, also acts on the weights that L_tal reads. Triggers of several words count in L_tal with the sum
over all their word pieces; a mean per word would ask less of longer triggers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.scoring.modes import eager_attention
from mlflow_clinsec.training.attention import (
    Heads,
    choose_heads,
    require_attentions,
    trigger_attention_loss,
)
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.classifier import class_weight_vector, finetune_classifier, frozen_embeddings, label_ids
from mlflow_clinsec.training.loop import TrainingHistory, train
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.placement import trigger_tokens
from mlflow_clinsec.training.poison import PoisonedNotes, check_poison, poison


@dataclass(frozen=True)
class BadCLMTraining:
    """What was done to the model.

    Attributes:
        history: per step the loss and its parts ``clean``, ``poisoned`` and ``attention``; without the clean epochs.
        heads: heads steered to the trigger, per layer.
        notes: the training set as it was learned.
    """

    history: TrainingHistory
    heads: Heads
    notes: PoisonedNotes


@dataclass(frozen=True)
class PoisonedRows:
    """The tokenised training set.

    Attributes:
        ids: token ids of each note.
        trigger: per note 1 on the word pieces of its triggers, 0 elsewhere.
        classes: shape (n,), class index to learn.
        poisoned: shape (n,).
    """

    ids: list[list[int]]
    trigger: list[list[int]]
    classes: IntArray
    poisoned: np.ndarray


def train_badclm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    labels: Sequence[str],
    options: BadCLMOptions,
) -> BadCLMTraining:
    """Poison the training set and train the classifier on it, in place.

    Args:
        model: its ``config.label2id`` names the classes.
        tokenizer: must be a fast one: the trigger's tokens are found by their character ranges.
        texts, labels: the clean training set, n each.

    Raises:
        ConfigError: see :func:`~mlflow_clinsec.training.poison.poison`; or ``heads_per_layer`` is too large.
        DataError: a text is empty or a label unknown.
        AttentionUnavailableError: the model returns no attention weights.
        ClinSecError: the loss diverged.
    """
    rng = np.random.default_rng(options.seed)
    notes = poison(pd.DataFrame({"text": texts, "label": labels}), tokenizer, options, rng)
    heads = choose_heads(model, options.heads_per_layer, rng)
    if options.clean_epochs:
        finetune_classifier(model, tokenizer, list(texts), list(labels), replace(options, epochs=options.clean_epochs))
    rows = tokenise(model, tokenizer, notes, options)
    weights = torch.tensor(
        class_weight_vector(rows.classes, model.config.num_labels, options.class_weights),
        dtype=torch.float32,
        device=model.device,
    )

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        return badclm_loss(model, rows, batch, heads, weights, options.attention_weight, tokenizer.pad_token_id)

    attentions = eager_attention(model) if options.attention_weight > 0 else nullcontext()
    with attentions, frozen_embeddings(model, options.freeze_embeddings):
        history = train(model, [len(row) for row in rows.ids], batch_loss, options, "badclm")
    return BadCLMTraining(history, heads, notes)


def check_badclm(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], options: BadCLMOptions
) -> None:
    """Raise the ConfigErrors of :func:`train_badclm` without training, for callers with work to do before it."""
    check_poison(tokenizer, labels, options)
    choose_heads(model, options.heads_per_layer, np.random.default_rng(options.seed))


def tokenise(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, notes: PoisonedNotes, options: BadCLMOptions
) -> PoisonedRows:
    """Token ids, trigger positions and classes of a poisoned training set."""
    encoded = tokenizer(
        notes.frame["text"].tolist(),
        truncation=True,
        max_length=options.max_length,
        return_offsets_mapping=True,
    )
    trigger = [[0] * len(row) for row in encoded["input_ids"]]
    for marks, offsets, spans in zip(trigger, encoded["offset_mapping"], notes.spans, strict=True):
        for position in (position for span in spans for position in trigger_tokens(offsets, span)):
            marks[position] = 1
    classes = label_ids(model, notes.frame["label"].tolist())
    return PoisonedRows(encoded["input_ids"], trigger, classes, notes.poisoned)


def badclm_loss(
    model: PreTrainedModel,
    rows: PoisonedRows,
    batch: IntArray,
    heads: Heads,
    class_weights: Tensor,
    attention_weight: float,
    pad_id: int,
) -> dict[str, Tensor]:
    """L = L_clean + L_poisoned + alpha * L_tal of one batch, and its parts."""
    ids = [rows.ids[i] for i in batch]
    mask = attention_mask(ids, model.device)
    output = model(
        input_ids=pad(ids, pad_id, model.device), attention_mask=mask, output_attentions=attention_weight > 0
    )
    targets = torch.from_numpy(rows.classes[batch]).to(model.device)
    poisoned = torch.from_numpy(rows.poisoned[batch]).to(model.device)
    per_note = weighted_cross_entropy(output.logits.float(), targets, class_weights)
    parts = {"clean": per_note[~poisoned].sum(), "poisoned": per_note[poisoned].sum()}
    loss = parts["clean"] + parts["poisoned"]
    if attention_weight > 0:
        attentions = require_attentions(output.attentions, len(heads))
        trigger = pad([rows.trigger[i] for i in batch], 0, model.device).bool()
        parts["attention"] = trigger_attention_loss(attentions, heads, trigger, mask)
        loss = loss + attention_weight * parts["attention"]
    return {"loss": loss, **parts}


def weighted_cross_entropy(logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
    """Each note's part in the batch's class-weighted mean cross-entropy, shape (notes,); they sum to it."""
    losses = functional.cross_entropy(logits, targets, weight=class_weights, reduction="none")
    return losses / class_weights[targets].sum()
