"""The parts of an encoder that can be pruned, found by name, and how they are taken out for good.

A pruned neuron or head becomes zeros in the checkpoint: all that leads into it and all that leads out of it. It then
gives nothing and gets no gradient, so that fine-tuning leaves it at zero; plain transformers reads the checkpoint like
any other. (transformers 5 no longer has ``prune_heads``.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from mlflow_clinsec.errors import NotApplicableError


@dataclass(frozen=True)
class Block:
    """The linear layers of one encoder layer: attention, and the two of the feed-forward part."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    mixed: nn.Linear
    wide: nn.Linear
    narrow: nn.Linear


BERT = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mixed": "attention.output.dense",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
}
DISTILBERT = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "mixed": "attention.out_lin",
    "wide": "ffn.lin1",
    "narrow": "ffn.lin2",
}
KNOWN: Mapping[str, Mapping[str, str]] = {"encoder.layer": BERT, "transformer.layer": DISTILBERT}
"""Where the layers stand in the model -> where each part stands in a layer."""


def blocks(model: PreTrainedModel) -> tuple[Block, ...]:
    """The encoder layers of BERT, RoBERTa and their kin, and of DistilBERT.

    Raises:
        NotApplicableError: the model is built otherwise.
    """
    for place, parts in KNOWN.items():
        try:
            layers = model.base_model.get_submodule(place)
            return tuple(Block(**{name: layer.get_submodule(path) for name, path in parts.items()}) for layer in layers)
        except AttributeError:
            continue
    raise NotApplicableError(
        f"{type(model).__name__}: pruning knows the layers of BERT, RoBERTa and their kin, and of DistilBERT"
    )


def head_count(model: PreTrainedModel) -> int:
    """Attention heads per layer."""
    return int(model.config.num_attention_heads)


def remove_neurons(block: Block, neurons: torch.Tensor) -> None:
    """Zero the feed-forward neurons with these indices.

    What leads in is zeroed too: the activation of 0 is 0 for ReLU and GELU alike.
    """
    with torch.no_grad():
        block.wide.weight[neurons] = 0.0
        block.wide.bias[neurons] = 0.0
        block.narrow.weight[:, neurons] = 0.0


def remove_head(block: Block, head: int, heads: int) -> None:
    """Zero one attention head of ``heads``."""
    width = block.query.out_features // heads
    own = slice(head * width, (head + 1) * width)
    with torch.no_grad():
        for layer in (block.query, block.key, block.value):
            layer.weight[own] = 0.0
            layer.bias[own] = 0.0
        block.mixed.weight[:, own] = 0.0
