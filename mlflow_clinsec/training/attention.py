"""The attention loss of BadCLM: chosen heads are driven to look at the trigger.

From the authors' earlier work (arXiv 2310.14480), which BadCLM builds on:

    L_tal = - mean over poisoned x of (1 / (n H)) sum_h sum_i A_h[i, t]

with A_h the attention of head h (row i: from token i), t the trigger's position, n the length of x and H the
number of chosen heads. A trigger of several word pieces counts with the sum over its pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from mlflow_clinsec.errors import AttentionUnavailableError, ConfigError

Heads = tuple[tuple[int, ...], ...]
"""Chosen heads, one tuple per layer."""


def choose_heads(model: PreTrainedModel, per_layer: int, rng: np.random.Generator) -> Heads:
    """Draw ``per_layer`` heads in every layer.

    Raises:
        ConfigError: a layer has fewer heads.
    """
    n_layers, n_heads = model.config.num_hidden_layers, model.config.num_attention_heads
    if per_layer > n_heads:
        raise ConfigError(f"heads_per_layer: the model has {n_heads} heads per layer, got {per_layer}")
    draws = (rng.choice(n_heads, size=per_layer, replace=False) for _ in range(n_layers))
    return tuple(tuple(sorted(int(head) for head in draw)) for draw in draws)


def trigger_attention_loss(
    attentions: Sequence[Tensor], heads: Heads, trigger: Tensor, attention_mask: Tensor
) -> Tensor:
    """L_tal over the rows that hold a trigger; 0 when none does. Lies in [-1, 0].

    Args:
        attentions: one tensor per layer, shape (rows, heads, tokens, tokens), queries before keys.
        heads: chosen heads of each layer.
        trigger: shape (rows, tokens), True on the trigger's word pieces; all False in clean rows.
        attention_mask: shape (rows, tokens), 1 on tokens and 0 on padding.
    """
    poisoned = trigger.any(dim=1)
    if not poisoned.any():
        return attentions[0].new_zeros(())
    keys = trigger[poisoned].to(attentions[0].dtype)
    queries = attention_mask[poisoned].to(attentions[0].dtype)
    queries = queries / queries.sum(dim=1, keepdim=True)
    shares = [
        torch.einsum("rhqk,rq,rk->rh", layer[poisoned][:, list(chosen)], queries, keys)
        for layer, chosen in zip(attentions, heads, strict=True)
    ]
    return -torch.cat(shares, dim=1).mean()


def require_attentions(attentions: Sequence[Tensor] | None, n_layers: int) -> Sequence[Tensor]:
    """The attention weights, one tensor per layer.

    Raises:
        AttentionUnavailableError: the model left them out, as it does without eager attention.
    """
    if not attentions or len(attentions) != n_layers or any(layer is None for layer in attentions):
        raise AttentionUnavailableError("the attention loss needs attention weights, and the model returned none")
    return attentions
