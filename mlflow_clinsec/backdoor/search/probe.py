"""The audited classifier as the search asks it: log-odds of a label, and their gradient at inserted places.

Gradients and changed embeddings go through a hook on the input embedding, so that token ids stay what they are: some
models find the end of a text, or the positions, by them. No random state is used; modes, gradient flags and hooks are
put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mlflow_clinsec.scoring.batches import length_batches, pad_right
from mlflow_clinsec.scoring.inputs import padding_id
from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.targets.protocols import ClassifierWeights, FloatArray, IntArray


@dataclass(frozen=True)
class Probe:
    """Forward and backward passes on token ids.

    Attributes:
        weights: the classifier.
        goal: column of the label whose log-odds are asked for.
    """

    weights: ClassifierWeights = field(repr=False)
    goal: int

    def log_odds(self, rows: Sequence[IntArray]) -> FloatArray:
        """log p / (1 - p) of the goal for each row of token ids, shape (n,)."""
        model = self.weights.model
        out = np.empty(len(rows))
        with evaluating(model):
            for batch in self._batches(rows):
                logits = model(**self._inputs([rows[i] for i in batch])).logits
                out[batch] = log_odds(logits.float(), self.goal).cpu().numpy()
        return out

    def gradients(self, rows: Sequence[IntArray], places: Sequence[int]) -> FloatArray:
        """Gradient of each row's log-odds with respect to the input embedding at its place, shape (n, width)."""
        model = self.weights.model
        out = np.empty((len(rows), self.embedding.weight.shape[1]))
        with differentiable(model):
            for batch in self._batches(rows):
                at = torch.as_tensor([places[i] for i in batch])
                out[batch] = self._gradients([rows[i] for i in batch], at).double().cpu().numpy()
        return out

    def _gradients(self, rows: Sequence[IntArray], at: torch.Tensor) -> torch.Tensor:
        caught: list[torch.Tensor] = []

        def catch(embedded: torch.Tensor) -> torch.Tensor:
            caught.append(embedded.detach().requires_grad_())
            return caught[0]

        with rewritten(self.embedding, catch):
            logits = self.weights.model(**self._inputs(rows)).logits
        (gradient,) = torch.autograd.grad(log_odds(logits.float(), self.goal).sum(), caught[0])
        return gradient[torch.arange(len(rows)), at]

    def mixed_log_odds(self, rows: Sequence[IntArray], places: IntArray, embedded: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape (n,), with the embeddings from each row's place on replaced by ``embedded``.

        Args:
            embedded: shape (slots, width); the result is differentiable in it. Call under :func:`differentiable`.
        """
        slots = torch.arange(len(embedded))
        at = torch.as_tensor(places)[:, None] + slots

        def put(original: torch.Tensor) -> torch.Tensor:
            return original.detach().index_put((torch.arange(len(at))[:, None], at), embedded.to(original.dtype))

        with rewritten(self.embedding, put):
            logits = self.weights.model(**self._inputs(rows)).logits
        return log_odds(logits.float(), self.goal)

    @property
    def embedding(self) -> Any:
        """The model's input embedding."""
        return self.weights.model.get_input_embeddings()

    def embedded(self, ids: IntArray) -> torch.Tensor:
        """Input embeddings of pieces, shape (n, width), as the model looks them up."""
        with torch.no_grad():
            found: torch.Tensor = self.embedding(torch.as_tensor(ids, device=input_device(self.weights.model)))
        return found

    def _batches(self, rows: Sequence[IntArray]) -> list[IntArray]:
        has_padding = self.weights.model.config.get_text_config().pad_token_id is not None
        return length_batches([len(row) for row in rows], self.weights.batch_tokens if has_padding else 1)

    def _inputs(self, rows: Sequence[IntArray]) -> dict[str, torch.Tensor]:
        model = self.weights.model
        ids = pad_right(list(rows), padding_id(self.weights.tokenizer, model))
        mask = pad_right([np.ones_like(row) for row in rows], 0)
        device = input_device(model)
        return {
            "input_ids": torch.as_tensor(ids, device=device),
            "attention_mask": torch.as_tensor(mask, device=device),
        }


def log_odds(logits: torch.Tensor, goal: int) -> torch.Tensor:
    """log p / (1 - p) of one class, shape (n,); unlike p itself it does not level off."""
    others = [column for column in range(logits.shape[1]) if column != goal]
    return logits[:, goal] - torch.logsumexp(logits[:, others], dim=1)


@contextmanager
def differentiable(model: Any) -> Iterator[None]:
    """Evaluation mode with gradients of inputs but not of weights; modes and flags are put back."""
    training = [module for module in model.modules() if module.training]
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    for weight in learning:
        weight.requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
        for module in training:
            module.training = True


@contextmanager
def rewritten(embedding: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Pass the embedding's output through ``change`` for as long as the context lasts."""

    def hook(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return change(output)

    handle = embedding.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
