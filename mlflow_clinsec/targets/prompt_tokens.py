"""A causal language model's tokeniser, as far as triggers in prompts need it: texts are prompts.

A prompt reaches the model inside its chat template, where there is one, and loses its beginning where prompt and answer
together are longer than the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlflow_clinsec.scoring.encode import render_prompt
from mlflow_clinsec.targets.protocols import BoolArray, Span
from mlflow_clinsec.targets.tokens import TokenizerView


class PromptTokens(TokenizerView):
    """A :class:`~mlflow_clinsec.targets.protocols.TokenView` whose texts are prompts.

    Args:
        tokenizer: the model's fast tokeniser.
        limit: tokens that the model takes, prompt and answer together; None for any number.
    """

    def __init__(self, tokenizer: Any, limit: int | None) -> None:
        super().__init__(tokenizer, None)
        self._limit = limit

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        """Whether every token of the spans reaches the model, shape (n_texts,).

        A prompt that the chat template does not write as it is counts as lost.
        """
        rendered = [render_prompt(self._tokenizer, text) for text in texts]
        if not rendered:
            return np.zeros(0, dtype=np.bool_)
        batch = self._tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        places = [_place(whole, text) for whole, text in zip(rendered, texts, strict=True)]
        room = None if self._limit is None else max(1, self._limit - answer_tokens)
        rows = zip(batch["offset_mapping"], spans, places, strict=True)
        return np.array([_reached(offsets, ranges, place, room) for offsets, ranges, place in rows], dtype=np.bool_)


def _place(rendered: str, prompt: str) -> int | None:
    """What to add to a character's place in the prompt for its place in the rendered text."""
    inner = prompt.strip()
    found = rendered.rfind(inner) if inner else -1
    return None if found < 0 else found - (len(prompt) - len(prompt.lstrip()))


def _reached(offsets: Sequence[tuple[int, int]], spans: Sequence[Span], place: int | None, room: int | None) -> bool:
    if place is None or not spans:
        return False
    starts, stops = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
    first = len(starts) - room if room is not None else 0
    for low, high in spans:
        tokens = np.flatnonzero((starts < high + place) & (stops > low + place))
        if not tokens.size or tokens[0] < first:
            return False
    return True
