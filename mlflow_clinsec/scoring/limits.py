"""How many tokens a model really takes."""

from __future__ import annotations

from typing import Any

UNSTATED = 10_000_000
"""Tokenisers without a limit of their own state something like 1e30."""


def context_length(model: Any) -> int | None:
    """Positions that the model has for tokens; None when it has no such limit.

    RoBERTa and its kin number positions from ``padding_idx + 1``, so 514 of them serve 512 tokens; their
    position embedding betrays itself by having a ``padding_idx``.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    return positions - _positions_before_first(model)


def input_length(tokenizer: Any, model: Any, max_length: int | None = None) -> int | None:
    """The smallest of what the user asks for, the tokeniser states and the model's positions allow."""
    stated = getattr(tokenizer, "model_max_length", None)
    limits = (max_length, stated if stated and stated < UNSTATED else None, context_length(model))
    known = [int(limit) for limit in limits if limit]
    return min(known) if known else None


def _positions_before_first(model: Any) -> int:
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0
