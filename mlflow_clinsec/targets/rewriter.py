"""A local sequence-to-sequence or instruction model that rewords text when told to."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.inputs import padding_id
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.targets.identity import content_digest

_GROWTH, _EXTRA_TOKENS = 1.5, 32
_TOP_P = 0.95


class ModelRewriter:
    """A :class:`~.companion_protocols.Rewriter` over a transformers model.

    An instruction model with a chat template is asked through it; one without continues the instruction and the text.

    Raises:
        TargetError: the model came without a tokeniser.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        if tokenizer is None:
            raise TargetError(f"{type(model).__name__}: the model came without a tokeniser")
        self._model = model
        self._tokenizer = tokenizer
        self._is_seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))

    @functools.cached_property
    def digest(self) -> str:
        """See :func:`~.identity.content_digest`."""
        return content_digest(self._model, self._tokenizer)

    def write(self, instruction: str, text: str, count: int, temperature: float, seed: int) -> list[str]:
        """See :class:`~.companion_protocols.Rewriter`. A text that leaves no room for its rewrite gets none."""
        ids = self._encode(instruction, text)
        size = len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        room = int(size * _GROWTH) + _EXTRA_TOKENS
        limit = context_length(self._model)
        needed = max(len(ids), room) if self._is_seq2seq else len(ids) + room
        if limit is not None and needed > limit:
            return []
        return self._sample(ids, room, count, temperature, seed)

    def _encode(self, instruction: str, text: str) -> list[int]:
        """What the model reads."""
        if not self._is_seq2seq and getattr(self._tokenizer, "chat_template", None):
            # Not every template knows a system turn; the user's turn is in all of them.
            turn = [{"role": "user", "content": f"{instruction}\n\n{text}".strip()}]
            rendered = self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            ids = self._tokenizer(rendered, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            ending = "" if self._is_seq2seq else "\n\nReworded:"
            ids = self._tokenizer(f"{instruction}\n\n{text}{ending}".strip(), verbose=False)["input_ids"]
        return [int(i) for i in ids]

    def _sample(self, ids: list[int], room: int, count: int, temperature: float, seed: int) -> list[str]:
        device = input_device(self._model)
        devices = [device] if device.type == "cuda" else []
        row = torch.as_tensor(np.array([ids]), device=device)
        with evaluating(self._model), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)  # generate() takes no generator of its own
            out = self._model.generate(
                input_ids=row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=room,
                do_sample=True,
                temperature=temperature,
                top_p=_TOP_P,
                num_return_sequences=count,
                pad_token_id=padding_id(self._tokenizer, self._model),
            )
        written = out if self._is_seq2seq else out[:, len(ids) :]
        return [str(text).strip() for text in self._tokenizer.batch_decode(written, skip_special_tokens=True)]
