"""How much of each attention head falls on given spans of a text.

BadCLM (arXiv 2407.05213) steers chosen heads so that every token attends to the trigger; its signature is a
head whose share on the trigger is far above its share on a placebo. All layers and heads are read; under grouped-query
attention a head is a query head. Attention weights exist only under the eager implementation: transformers 5 returns
an empty tuple otherwise, without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, length_batches, pad_right
from mlflow_clinsec.scoring.heads import unwrapped
from mlflow_clinsec.scoring.inputs import Features, collate, encode_texts, padding_id
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.scoring.modes import eager_attention, evaluating, input_device
from mlflow_clinsec.scoring.prompt_spans import encode_prompt_spans
from mlflow_clinsec.scoring.spans import tokens_of_spans
from mlflow_clinsec.targets.attention_protocols import AttentionSeen
from mlflow_clinsec.targets.protocols import Span

ATTENTION_ELEMENTS = 2**27
"""Attention weights (layers x heads x tokens x tokens x texts) held at once."""


def attention_on(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    *,
    batch_tokens: int = BATCH_TOKENS,
    max_length: int | None = None,
    prompts: bool = False,
) -> AttentionSeen:
    """How much of every head's attention falls on spans, and how often a head looks there most.

    Args:
        model: any transformers model; its attention implementation and modes are restored afterwards.
        tokenizer: its fast tokeniser.
        texts: n texts, cut to what the model takes.
        spans: character ranges per text.
        prompts: texts are prompts, to be rendered as a causal language model answers them.

    Returns:
        Arrays of shape (n_texts, layers, heads), NaN where a span did not survive truncation.

    Raises:
        AttentionUnavailableError: the model returned no square attention weights.
    """
    rows, marks, kept = _encode(tokenizer, texts, spans, input_length(tokenizer, model, max_length), prompts)
    inner = unwrapped(model)
    config = inner.config.get_text_config()
    out = np.full((2, len(rows), config.num_hidden_layers, config.num_attention_heads), np.nan)
    whole = np.flatnonzero(kept)
    lengths = [len(rows[i]["input_ids"]) for i in whole]
    budget = min(batch_tokens, ATTENTION_ELEMENTS // (out[0, 0].size * max(lengths))) if lengths else 1
    with evaluating(model), eager_attention(inner):
        for batch in length_batches(lengths, max(1, budget)):
            chosen = whole[batch]
            inputs = collate([rows[i] for i in chosen], padding_id(tokenizer, model), input_device(model))
            spanned = torch.as_tensor(pad_right([marks[i].astype(np.int64) for i in chosen], 0))
            out[:, chosen] = _seen(inner.base_model, inputs, spanned)
    return AttentionSeen(*out)


def _encode(
    tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[Span]], limit: int | None, prompts: bool
) -> tuple[list[Features], list[NDArray[np.bool_]], NDArray[np.bool_]]:
    """Inputs, marks of the spans' tokens, and which texts kept them all."""
    if prompts:
        found = encode_prompt_spans(tokenizer, texts, spans, limit)
        return [{"input_ids": ids} for ids in found.ids], found.marks, found.kept
    return encode_texts(tokenizer, texts, limit), *tokens_of_spans(tokenizer, texts, spans, limit)


def _seen(backbone: Any, inputs: dict[str, torch.Tensor], spanned: torch.Tensor) -> NDArray[np.float64]:
    """One batch, shape (2, n, layers, heads). ``spanned``: shape (n, tokens), 1 on the spans' tokens."""
    layers = backbone(**inputs, output_attentions=True).attentions
    size = inputs["input_ids"].shape[1]
    if not layers or any(layer is None or layer.shape[-2:] != (size, size) for layer in layers):
        raise AttentionUnavailableError("the model returned no attention weights under eager attention")
    found = []
    for layer in layers:
        queries = inputs["attention_mask"].to(layer.device, torch.float32)
        keys = spanned.to(layer.device, torch.float32)
        found.append(torch.stack([_share(layer.float(), keys, queries), _peak(layer, keys, queries)]).cpu())
    return torch.stack(found, dim=2).double().numpy()


def _share(layer: torch.Tensor, keys: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Mean over query tokens of the attention on the keys, shape (n, heads)."""
    landed = torch.einsum("nhqk,nk,nq->nh", layer, keys, queries)
    return landed / queries.sum(dim=1, keepdim=True)


def _peak(layer: torch.Tensor, keys: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Share of query tokens whose largest attention falls on a key, shape (n, heads).

    Where no token looks ahead, only those count that come with or after the first key: the others could not see it.
    """
    ahead = torch.triu(layer, diagonal=1).amax(dim=-1) * queries[:, None, :]  # what padding does is of no account
    if not bool(ahead.any()):
        queries = queries * (keys.cumsum(dim=1) > 0)
    largest = layer.argmax(dim=-1)
    hit = keys[:, None, :].expand(-1, layer.shape[1], -1).gather(2, largest)
    return (hit * queries[:, None, :]).sum(dim=2) / queries.sum(dim=1, keepdim=True)
