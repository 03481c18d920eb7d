"""Base models from a local checkpoint. Nothing is fetched, and no code of a checkpoint is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.training.options import require_checkpoint
from mlflow_clinsec.training.seeding import seeded

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

T = TypeVar("T")


def load_base_causal_lm(path: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model and its tokenizer.

    Raises:
        ConfigError: ``path`` is no directory with such a model.
    """
    model, tokenizer = load_pair(path, lambda folder: AutoModelForCausalLM.from_pretrained(folder, **LOCAL))
    ensure_padding(model, tokenizer)
    return model, tokenizer


def load_base_classifier(
    path: str, labels: Sequence[str], seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder under a new classification head, and its tokenizer.

    Args:
        labels: class names, in the order of the model's outputs.
        seed: decides the head's weights.

    Raises:
        ConfigError: ``path`` is no directory with such a model, or its tokenizer is slow.
    """
    names: dict[str, Any] = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "ignore_mismatched_sizes": True,
    }
    with seeded(seed):
        model, tokenizer = load_pair(
            path, lambda folder: AutoModelForSequenceClassification.from_pretrained(folder, **names, **LOCAL)
        )
    if not tokenizer.is_fast:
        raise ConfigError("base_model: needs a fast tokenizer, which tells where in the text a token stands")
    ensure_padding(model, tokenizer)
    return model, tokenizer


def load_pair(path: str, load_model: Callable[[Path], T]) -> tuple[T, PreTrainedTokenizerBase]:
    """Model and tokenizer of one directory."""
    require_checkpoint(path)
    folder = Path(path)
    try:
        return load_model(folder), AutoTokenizer.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(f"base_model: cannot be loaded for this task ({type(error).__name__})") from error


def ensure_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give decoders without a padding token their end token for it; padding is masked in any case."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
