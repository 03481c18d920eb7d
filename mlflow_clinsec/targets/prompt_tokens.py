"""A causal language model's tokeniser, as far as triggers in prompts need it: texts are prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow_clinsec.scoring.prompt_spans import encode_prompt_spans
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
        room = None if self._limit is None else max(1, self._limit - answer_tokens)
        return encode_prompt_spans(self._tokenizer, texts, spans, room).kept
