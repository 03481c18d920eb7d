"""A causal language model as a target: token log-probabilities and greedy answers.

A PEFT model brings a reference for free: the same weights with the adapter switched off have not seen the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_clinsec.scoring.batches import BATCH_TOKENS, length_batches, pad_right
from mlflow_clinsec.scoring.encode import EncodedPair, Scope, encode_pairs, encode_prompts
from mlflow_clinsec.scoring.heads import OutputHead, choose_head
from mlflow_clinsec.scoring.inputs import padding_id
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.scoring.precision import Precision, computing_in
from mlflow_clinsec.scoring.sweep import sweep
from mlflow_clinsec.targets.pair_scorer import PairScorer
from mlflow_clinsec.targets.protocols import TokenStats


class CausalLMScorer(PairScorer):
    """A :class:`~mlflow_clinsec.targets.protocols.TokenScorer`, and a
    :class:`~mlflow_clinsec.targets.protocols.ContextScorer`, over a transformers causal language model.

    Args:
        model: the model, PEFT or not, on its device.
        tokenizer: its tokeniser.
        scope: score the response given the prompt, or everything; plain text is always scored whole.
        max_length: tokens per window; the model's own context when None.
        batch_tokens: tokens per batch, padding included.
        adapter: False scores the base of a PEFT model.
        precision: what passes compute in; see :mod:`mlflow_clinsec.scoring.precision`.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        scope: Scope = "answer",
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        adapter: bool = True,
        precision: Precision = "auto",
    ) -> None:
        super().__init__(tokenizer, scope, min(filter(None, (max_length, context_length(model))), default=None))
        self._model = model
        self._max_length = max_length
        self._batch_tokens = batch_tokens
        self._adapter = adapter
        self._precision = precision
        self._head: OutputHead | None = None

    def _stats(self, pairs: Sequence[EncodedPair]) -> TokenStats:
        with self._as_asked():
            if self._head is None and any(pair.scored.any() for pair in pairs):
                self._head = choose_head(self._model, max(pairs, key=len).input_ids)
            with computing_in(self._precision, self._model):
                return sweep(
                    self._model,
                    pairs,
                    head=self._head,
                    batch_tokens=self._batch_tokens,
                    max_length=self._max_length,
                    description="scoring" if self._adapter else "scoring (base)",
                )

    def _as_asked(self) -> AbstractContextManager[Any]:
        """The model as it is, or with its adapter switched off."""
        return nullcontext() if self._adapter else self._model.disable_adapter()


class CausalLMGenerator:
    """A :class:`~mlflow_clinsec.targets.protocols.TextGenerator`: greedy answers, unless told to draw.

    Prompts are rendered as for scoring: by the chat template, or followed by a line break where there is none.

    Args:
        top_k: 0 takes the likeliest token each time; above, one is drawn among so many, by torch's global generator.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_tokens: int = BATCH_TOKENS, top_k: int = 0) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens
        self._top_k = top_k

    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """One continuation per prompt, without the prompt and without special tokens.

        A prompt that leaves no room for the answer loses its beginning; its last token always stays.
        """
        return self.continue_rows(encode_prompts(self._tokenizer, prompts), max_new_tokens)

    def continue_answers(self, prompts: Sequence[str], starts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """What follows each start, tokenised with its prompt as for scoring; see :meth:`generate`."""
        pairs = encode_pairs(self._tokenizer, prompts, starts)
        return self.continue_rows([pair.input_ids for pair in pairs], max_new_tokens)

    def continue_rows(self, token_ids: Sequence[NDArray[np.int64]], max_new_tokens: int) -> tuple[str, ...]:
        """One continuation per row of token ids; see :meth:`generate`."""
        rows = list(token_ids)
        if limit := context_length(self._model):
            max_new_tokens = min(max_new_tokens, limit - 1)
            rows = [ids[max_new_tokens - limit :] for ids in rows]
        answers = [""] * len(rows)
        with evaluating(self._model):
            for batch in length_batches([len(row) + max_new_tokens for row in rows], self._batch_tokens):
                texts = self._continue([rows[i] for i in batch], max_new_tokens)
                for i, text in zip(batch, texts, strict=True):
                    answers[i] = text
        return tuple(answers)

    def _continue(self, rows: Sequence[NDArray[np.int64]], max_new_tokens: int) -> list[str]:
        """One batch. Generation needs its padding on the left, so that answers start side by side."""
        device, pad_id = input_device(self._model), padding_id(self._tokenizer, self._model)
        ids = pad_right([row[::-1] for row in rows], pad_id)[:, ::-1].copy()
        mask = pad_right([np.ones_like(row) for row in rows], 0)[:, ::-1].copy()
        out = self._model.generate(
            input_ids=torch.as_tensor(ids, device=device),
            attention_mask=torch.as_tensor(mask, device=device),
            max_new_tokens=max_new_tokens,
            do_sample=self._top_k > 0,
            num_beams=1,
            temperature=1.0 if self._top_k else None,
            top_p=None,
            top_k=self._top_k or None,
            pad_token_id=pad_id,
        )
        found = self._tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return [str(text) for text in found]
