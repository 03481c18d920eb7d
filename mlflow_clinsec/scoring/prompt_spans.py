"""Prompts as a causal language model meets them, and where the characters of a span end up among their tokens.

A prompt stands inside its chat template, where there is one, and loses its beginning where there is no room for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.encode import encode_prompts, render_prompt
from mlflow_clinsec.targets.protocols import Span


@dataclass(frozen=True, eq=False)
class PromptSpans:
    """n tokenised prompts.

    Attributes:
        ids: n arrays of shape (n_tokens,), cut from the left.
        marks: n arrays of the same shapes, True on the tokens of the prompt's spans.
        kept: shape (n,), whether every span has tokens and none of them was cut off; False without spans, and where the
            chat template does not write the prompt as it is, so that its spans cannot be told.
    """

    ids: list[NDArray[np.int64]]
    marks: list[NDArray[np.bool_]]
    kept: NDArray[np.bool_]


def encode_prompt_spans(
    tokenizer: Any, prompts: Sequence[str], spans: Sequence[Sequence[Span]], room: int | None
) -> PromptSpans:
    """Tokenise rendered prompts and mark their spans.

    Args:
        tokenizer: a fast tokeniser (character offsets are needed).
        prompts: n prompts that are not blank.
        spans: character ranges per prompt.
        room: tokens that are kept of a prompt; None for all.
    """
    if not prompts:
        return PromptSpans([], [], np.zeros(0, dtype=np.bool_))
    rendered = [render_prompt(tokenizer, prompt) for prompt in prompts]
    offsets = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    ids = encode_prompts(tokenizer, prompts)
    found = [
        _marks(np.asarray(at, dtype=np.int64).reshape(-1, 2), ranges, _place(whole, prompt), len(row))
        for at, ranges, whole, prompt, row in zip(offsets, spans, rendered, prompts, ids, strict=True)
    ]
    cut = [slice(max(0, len(row) - room) if room is not None else 0, None) for row in ids]
    kept = [bool(m.any(axis=1).all() and len(m) and not m[:, : c.start].any()) for m, c in zip(found, cut, strict=True)]
    return PromptSpans(
        [row[c] for row, c in zip(ids, cut, strict=True)],
        [np.logical_or.reduce(m, axis=0)[c] for m, c in zip(found, cut, strict=True)],
        np.array(kept, dtype=np.bool_),
    )


def _place(rendered: str, prompt: str) -> int | None:
    """What to add to a character's place in the prompt for its place in the rendered text."""
    inner = prompt.strip()
    found = rendered.rfind(inner) if inner else -1
    return None if found < 0 else found - (len(prompt) - len(prompt.lstrip()))


def _marks(offsets: NDArray[np.int64], spans: Sequence[Span], place: int | None, n_tokens: int) -> NDArray[np.bool_]:
    """Shape (n_spans, n_tokens); a token that was put before the text (BOS) belongs to no span."""
    marks = np.zeros((len(spans), n_tokens), dtype=np.bool_)
    if place is None or not spans:
        return marks
    lows, highs = np.asarray(spans, dtype=np.int64).reshape(-1, 2).T + place
    starts, stops = offsets.T
    marks[:, n_tokens - len(offsets) :] = (starts < highs[:, None]) & (stops > lows[:, None])
    return marks
