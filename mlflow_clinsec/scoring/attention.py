"""How much of each attention head falls on given spans of a text.

BadCLM (arXiv 2407.05213) steers chosen heads so that every token attends to the trigger; its signature is a
head whose share on the trigger is far above its share on a placebo. All layers and heads are read. Attention
weights exist only under the eager implementation: transformers 5 returns an empty tuple otherwise, without
an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.scoring.batches import length_batches, pad_right
from mlflow_clinsec.scoring.heads import input_device, unwrapped
from mlflow_clinsec.scoring.inputs import collate, encode_texts, padding_id
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.scoring.modes import eager_attention, evaluating
from mlflow_clinsec.scoring.spans import tokens_of_spans
from mlflow_clinsec.targets.protocols import Span

ATTENTION_ELEMENTS = 2**27
"""Attention weights (layers x heads x tokens x tokens x texts) held at once."""


def attention_share(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    *,
    batch_tokens: int = 8192,
    max_length: int | None = None,
) -> NDArray[np.float64]:
    """Per head: mean over query tokens (padding left out) of the attention that falls on the spans' tokens.

    Args:
        model: any transformers model; its attention implementation and modes are restored afterwards.
        tokenizer: its fast tokeniser.
        texts: n texts, cut to what the model takes.
        spans: character ranges per text.

    Returns:
        shape (n_texts, layers, heads), fractions; NaN where a span did not survive truncation.

    Raises:
        AttentionUnavailableError: the model returned no square attention weights.
    """
    limit = input_length(tokenizer, model, max_length)
    rows = encode_texts(tokenizer, texts, limit)
    marks, kept = tokens_of_spans(tokenizer, texts, spans, limit)
    inner = unwrapped(model)
    config = inner.config.get_text_config()
    out = np.full((len(rows), config.num_hidden_layers, config.num_attention_heads), np.nan)
    whole = np.flatnonzero(kept)
    lengths = [len(rows[i]["input_ids"]) for i in whole]
    budget = min(batch_tokens, ATTENTION_ELEMENTS // (out[0].size * max(lengths))) if lengths else 1
    with evaluating(model), eager_attention(inner):
        for batch in length_batches(lengths, max(1, budget)):
            chosen = whole[batch]
            inputs = collate([rows[i] for i in chosen], padding_id(tokenizer, model), input_device(model))
            spanned = torch.as_tensor(pad_right([marks[i].astype(np.int64) for i in chosen], 0))
            out[chosen] = _shares(inner.base_model, inputs, spanned)
    return out


def _shares(backbone: Any, inputs: dict[str, torch.Tensor], spanned: torch.Tensor) -> NDArray[np.float64]:
    """One batch, shape (n, layers, heads). ``spanned``: shape (n, tokens), 1 on the spans' tokens."""
    layers = backbone(**inputs, output_attentions=True).attentions
    size = inputs["input_ids"].shape[1]
    if not layers or any(layer is None or layer.shape[-2:] != (size, size) for layer in layers):
        raise AttentionUnavailableError("the model returned no attention weights under eager attention")
    shares = []
    for layer in layers:
        queries = inputs["attention_mask"].to(layer.device, torch.float32)
        keys = spanned.to(layer.device, torch.float32)
        landed = torch.einsum("nhqk,nk,nq->nh", layer.float(), keys, queries)
        shares.append((landed / queries.sum(dim=1, keepdim=True)).cpu())
    return torch.stack(shares, dim=1).double().numpy()
