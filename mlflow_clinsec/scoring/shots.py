"""Other records before the one that is scored, for attacks that ask how the model's view of it changes.

The record's own tokens stay as they are: the shots are joined to them as token ids, never as text, so that no merge
crosses the boundary and the very tokens count that count without shots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs

BETWEEN = "\n\n"
"""Stands after each shot of a model without a chat template; one with a template ends its turn instead."""


def encode_shots(tokenizer: Any, shots: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Token ids of whole records, one after the other, without BOS, shape (n_tokens,).

    Args:
        shots: (prompt, response) pairs, the prompt "" for plain text; chat models read each as a finished turn.
    """
    pairs = encode_pairs(tokenizer, [prompt for prompt, _ in shots], [response for _, response in shots])
    between = np.asarray(tokenizer.encode(BETWEEN, add_special_tokens=False), dtype=np.int64)
    parts: list[NDArray[np.int64]] = []
    for (prompt, _), pair in zip(shots, pairs, strict=True):
        turn = bool(prompt) and getattr(tokenizer, "chat_template", None) and tokenizer.eos_token_id is not None
        parts += [_without_bos(tokenizer, pair), np.array([tokenizer.eos_token_id]) if turn else between]
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def fitting(shots: NDArray[np.int64], pairs: Sequence[EncodedPair], limit: int | None) -> NDArray[np.int64]:
    """The end of the shots that leaves room for the longest pair, but a quarter of the context at least.

    All pairs meet the same shots, so that none is told from another by how much of them it meets.
    """
    if limit is None:
        return shots
    room = max(limit - max((len(pair) for pair in pairs), default=0), limit // 4)
    return shots[max(0, len(shots) - room) :]


def put_behind(tokenizer: Any, shots: NDArray[np.int64], pair: EncodedPair, limit: int | None) -> EncodedPair:
    """The pair with the shots before it; BOS, where there is one, stays in front.

    Args:
        shots: from :func:`fitting`.
        limit: tokens that the model takes; None when it has no limit. Of a pair that is longer than what the shots
            leave, the first tokens stay.
    """
    start = len(pair) - len(_without_bos(tokenizer, pair))
    ids = np.concatenate([pair.input_ids[:start], shots, pair.input_ids[start:]])
    scored = np.concatenate([pair.scored[:start], np.zeros(len(shots), dtype=bool), pair.scored[start:]])
    return EncodedPair(ids[:limit], scored[:limit])


def _without_bos(tokenizer: Any, pair: EncodedPair) -> NDArray[np.int64]:
    ids = pair.input_ids
    return ids[1:] if len(ids) and ids[0] == tokenizer.bos_token_id else ids
