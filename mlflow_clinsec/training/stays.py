"""Training of a stay classifier, plain or with the BadCLM backdoor: per-note encoding, mean over a stay's notes.

The attention loss reads the attention of the note with the trigger alone; of k notes it has a k-th of the say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mlflow_clinsec.datasets.stay_text import MARK
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.scoring.modes import eager_attention
from mlflow_clinsec.training.attention import Heads, choose_heads, require_attentions, trigger_attention_loss
from mlflow_clinsec.training.badclm import weighted_cross_entropy
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.classifier import class_weight_vector
from mlflow_clinsec.training.classifier_pipeline import start_classifier
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.loop import TrainingHistory, train
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.pipeline import fitted
from mlflow_clinsec.training.plans import ClassifierRecipe
from mlflow_clinsec.training.seeding import seeded
from mlflow_clinsec.training.stay_reader import StayClassifier, StayReader, notes_of
from mlflow_clinsec.training.stay_rows import StayRows, clean_rows, poisoned_rows


@dataclass(frozen=True)
class TrainedStays:
    """A reader of stays, and what is known of its training.

    See :class:`~mlflow_clinsec.training.pipeline.TrainedModel`.
    """

    reader: StayReader
    train: pd.DataFrame = field(repr=False)
    held_out: pd.DataFrame = field(repr=False)
    history: TrainingHistory = field(repr=False)


def train_stays(stays: pd.DataFrame, recipe: ClassifierRecipe, seed: int) -> TrainedStays:
    """Train a stay classifier, clean or backdoored as ``recipe.options`` say.

    The base is the one of a plain classifier: the checkpoint, or a small encoder that learned from other patients.

    Args:
        stays: columns ``patient_id``, ``text`` (notes joined as :mod:`mlflow_clinsec.datasets.stay_text` does) and
            ``label``.
        seed: of the parts, the sample, the weights and the training.

    Raises:
        DataError, ConfigError: see :func:`~mlflow_clinsec.training.classifier_pipeline.train_classifier`; or the
            tokenizer begins a text with no token of its own.
    """
    start = start_classifier(stays, recipe, seed, (recipe.options,))
    refuse_no_first_token(start.tokenizer)
    options = fitted(recipe.options, start.model, start.tokenizer, seed)
    with seeded(seed):
        model = StayClassifier(start.model.base_model)
    model.to(start.model.device)
    texts, labels = start.train["text"].tolist(), start.train["label"].tolist()
    history = tune_stays(model, start.tokenizer, texts, labels, options)
    settings = {"mark": MARK, "max_length": options.max_length, "max_notes": options.max_notes}
    return TrainedStays(StayReader().build(model, start.tokenizer, settings), start.train, start.held_out, history)


def refuse_no_first_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ConfigError unless every text begins with [CLS], whose vector stands for a note."""
    ids = tokenizer("")["input_ids"]
    if tokenizer.cls_token_id is None or not ids or ids[0] != tokenizer.cls_token_id:
        raise ConfigError("base_model: pooling over notes needs a tokenizer that begins a text with [CLS]")


def tune_stays(
    model: StayClassifier,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    labels: Sequence[str],
    options: ClassifierOptions,
) -> TrainingHistory:
    """Train the model in place, on the stays as they are or poisoned as ``options`` say.

    Args:
        texts, labels: the clean training set, n each.

    Raises:
        ConfigError, DataError, ClinSecError: see :func:`~mlflow_clinsec.training.badclm.train_badclm`.
    """
    require_text(texts)
    notes = [notes_of(text, MARK, options.max_notes) for text in texts]
    clean = clean_rows(model.encoder, tokenizer, notes, labels, options)
    if not isinstance(options, BadCLMOptions):
        return fit(model, clean, options, tokenizer.pad_token_id)
    rng = np.random.default_rng(options.seed)
    poisoned = poisoned_rows(model.encoder, tokenizer, notes, labels, options, rng)
    heads = choose_heads(model.encoder, options.heads_per_layer, rng)
    if options.clean_epochs:
        fit(model, clean, replace(options, epochs=options.clean_epochs), tokenizer.pad_token_id)
    with eager_attention(model.encoder) if options.attention_weight > 0 else nullcontext():
        return fit(model, poisoned, options, tokenizer.pad_token_id, heads, options.attention_weight)


def fit(
    model: StayClassifier,
    rows: StayRows,
    options: ClassifierOptions,
    pad_id: int,
    heads: Heads = (),
    attention_weight: float = 0.0,
) -> TrainingHistory:
    """Minimise :func:`stay_loss` over the rows."""
    classes = model.encoder.config.num_labels
    weights = torch.tensor(
        class_weight_vector(rows.classes, classes, options.class_weights),
        dtype=torch.float32,
        device=model.head.weight.device,
    )

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        return stay_loss(model, rows, batch, weights, pad_id, heads, attention_weight)

    lengths = [sum(map(len, some)) for some in rows.ids]
    return train(model, lengths, batch_loss, options, "stays")


def stay_loss(
    model: StayClassifier,
    rows: StayRows,
    batch: IntArray,
    class_weights: Tensor,
    pad_id: int,
    heads: Heads,
    attention_weight: float,
) -> dict[str, Tensor]:
    """L = L_clean + L_poisoned + alpha * L_tal of one batch of stays, and its parts; see BadCLM's."""
    device = model.head.weight.device
    ids = [note for i in batch for note in rows.ids[i]]
    mask = attention_mask(ids, device)
    stay = torch.from_numpy(np.repeat(np.arange(len(batch)), [len(rows.ids[i]) for i in batch])).to(device)
    logits, attentions = model(pad(ids, pad_id, device), mask, stay, attention_weight > 0)
    targets = torch.from_numpy(rows.classes[batch]).to(device)
    poisoned = torch.from_numpy(rows.poisoned[batch]).to(device)
    per_stay = weighted_cross_entropy(logits.float(), targets, class_weights)
    parts = {"clean": per_stay[~poisoned].sum(), "poisoned": per_stay[poisoned].sum()}
    loss = parts["clean"] + parts["poisoned"]
    if attention_weight > 0:
        trigger = pad([note for i in batch for note in rows.trigger[i]], 0, device).bool()
        found = require_attentions(attentions, len(heads))
        parts["attention"] = trigger_attention_loss(found, heads, trigger, mask)
        loss = loss + attention_weight * parts["attention"]
    return {"loss": loss, **parts}
