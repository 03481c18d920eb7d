"""Whole texts as padded model inputs, truncated to what the model really takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.batches import pad_right

Features = Mapping[str, NDArray[np.int64]]
"""Input name (``input_ids``, ``token_type_ids``) to an array of shape (n_tokens,)."""


def encode_texts(tokenizer: Any, texts: Sequence[str], limit: int | None) -> list[Features]:
    """Texts with their special tokens, cut to ``limit`` tokens on the side that the tokeniser cuts.

    Raises:
        TargetError: a text gave no token at all, which no model can classify.
    """
    rows = tokenise(tokenizer, texts, limit)
    refuse_empty(rows)
    return rows


def tokenise(tokenizer: Any, texts: Sequence[str], limit: int | None) -> list[Features]:
    """As :func:`encode_texts`; a text may give no token."""
    if not texts:
        return []
    cut = {"truncation": True, "max_length": limit} if limit else {}
    batch = tokenizer(list(texts), return_attention_mask=False, verbose=False, **cut)
    return [{name: np.asarray(values[i], dtype=np.int64) for name, values in batch.items()} for i in range(len(texts))]


def refuse_empty(rows: Sequence[Features]) -> None:
    """Every text must have a token.

    Raises:
        TargetError: saying how many have none.
    """
    empty = sum(len(row["input_ids"]) == 0 for row in rows)
    if empty:
        raise TargetError(f"{empty} of {len(rows)} texts hold no token for the model's tokeniser")


def collate(rows: Sequence[Features], pad_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Right-padded inputs of one batch, shape (n, longest) each, with their attention mask."""
    padded = {name: pad_right([row[name] for row in rows], pad_id if name == "input_ids" else 0) for name in rows[0]}
    padded["attention_mask"] = pad_right([np.ones_like(row["input_ids"]) for row in rows], 0)
    return {name: torch.as_tensor(values, device=device) for name, values in padded.items()}


def padding_id(tokenizer: Any, model: Any) -> int:
    """What to pad with. The model's own word counts first: some models find the end of a text by it."""
    stated = (model.config.get_text_config().pad_token_id, getattr(tokenizer, "pad_token_id", None), 0)
    return next(int(value) for value in stated if value is not None)
