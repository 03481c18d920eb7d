"""The word of RAP: one token whose embedding is learned while the model stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlflow_clinsec.scoring.batches import length_batches
from mlflow_clinsec.scoring.inputs import Features, collate, encode_texts, padding_id
from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.targets.protocols import ClassifierWeights, FloatArray

LEARNING_RATE = 0.01
BATCH = 32
ENOUGH = 1e-3
"""Mean distance of the drops from their bounds, in probability, at which learning stops."""


@dataclass(frozen=True)
class Drops:
    """By how much the word shall lower the probability of the target label."""

    least: float
    most: float

    def distance(self, drops: Tensor) -> Tensor:
        """Mean distance from the bounds."""
        return (torch.relu(self.least - drops) + torch.relu(drops - self.most)).mean()


@dataclass(frozen=True)
class RapWord:
    """A token, put before each text, under an embedding of its own.

    Attributes:
        weights: the classifier; it is never changed.
        label: index of the target label.
        token: id of the token; no audited text should hold it.
        vector: shape (width,), its embedding.
    """

    weights: ClassifierWeights
    label: int
    token: int
    vector: Tensor = field(repr=False)

    @classmethod
    def draw(cls, weights: ClassifierWeights, label: int, known: Sequence[str], rng: np.random.Generator) -> RapWord:
        """A token that is in none of the known texts, or else one of the rarest, with its own embedding."""
        table = weights.model.get_input_embeddings().weight
        ids = [row["input_ids"] for row in encode_texts(weights.tokenizer, known, None)]
        counts = np.bincount(np.concatenate(ids), minlength=table.shape[0])[: table.shape[0]].astype(np.float64)
        counts[list(weights.tokenizer.all_special_ids)] = np.inf
        counts[len(weights.tokenizer) :] = np.inf  # rows that pad the table are no tokens
        token = int(rng.choice(np.flatnonzero(counts == counts.min())))
        return cls(weights, label, token, table[token].detach().clone())

    def learned(self, texts: Sequence[str], drops: Drops, epochs: int, rng: np.random.Generator) -> RapWord:
        """The same token with an embedding under which the drops on these texts keep to their bounds."""
        plain, perturbed = self._rows(texts)
        before = torch.as_tensor(self._probabilities(plain), device=self._device)
        vector = self.vector.clone().requires_grad_()
        optimizer = torch.optim.Adam([vector], lr=LEARNING_RATE)
        word = replace(self, vector=vector)
        with _differentiating(self.weights.model):
            for _ in range(epochs):
                if self._epoch(word, perturbed, before, drops, optimizer, rng) < ENOUGH:
                    break
        return replace(self, vector=vector.detach())

    def drops(self, texts: Sequence[str]) -> FloatArray:
        """By how much the word lowers the label's probability, shape (n,)."""
        plain, perturbed = self._rows(texts)
        return self._probabilities(plain) - self._probabilities(perturbed)

    def _epoch(
        self,
        word: RapWord,
        rows: Sequence[Features],
        before: Tensor,
        drops: Drops,
        optimizer: torch.optim.Optimizer,
        rng: np.random.Generator,
    ) -> float:
        """One pass over the texts in random order; the mean distance that it met."""
        met = []
        for batch in np.array_split(rng.permutation(len(rows)), max(1, len(rows) // BATCH)):
            distance = drops.distance(before[torch.as_tensor(batch)] - word._forward([rows[i] for i in batch]))
            (word.vector.grad,) = torch.autograd.grad(distance, [word.vector])
            optimizer.step()
            met.append(float(distance.detach()))
        return float(np.mean(met))

    @property
    def _device(self) -> torch.device:
        return input_device(self.weights.model)

    def _rows(self, texts: Sequence[str]) -> tuple[list[Features], list[Features]]:
        """The texts as model inputs, cut to leave room for one token, and the same with the word in front."""
        limit, tokenizer = self.weights.max_length, self.weights.tokenizer
        rows = encode_texts(tokenizer, texts, limit - 1 if limit else None)
        special = set(tokenizer.all_special_ids)
        return rows, [self._with_word(row, int(row["input_ids"][0] in special)) for row in rows]

    def _with_word(self, row: Features, place: int) -> Features:
        return {
            name: np.insert(values, place, self.token if name == "input_ids" else values[max(place - 1, 0)])
            for name, values in row.items()
        }

    def _probabilities(self, rows: Sequence[Features]) -> FloatArray:
        """Probability of the label for each row, shape (n,)."""
        out = np.empty(len(rows))
        # Without a padding token (GPT-2 as a classifier) the end of a text cannot be found in a batch.
        alone = self.weights.model.config.get_text_config().pad_token_id is None
        budget = 1 if alone else self.weights.batch_tokens
        with evaluating(self.weights.model):
            for batch in length_batches([len(row["input_ids"]) for row in rows], budget):
                out[batch] = self._forward([rows[i] for i in batch]).cpu().numpy()
        return out

    def _forward(self, rows: Sequence[Features]) -> Tensor:
        """Probability of the label under this embedding, shape (n,), on the model's device."""
        model = self.weights.model
        inputs = collate(rows, padding_id(self.weights.tokenizer, model), self._device)
        with self._installed():
            return torch.softmax(model(**inputs).logits.float(), dim=-1)[:, self.label]

    @contextmanager
    def _installed(self) -> Iterator[None]:
        """The token reads as this embedding while the block runs; the table itself is left alone."""

        def own(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return torch.where((inputs[0] == self.token).unsqueeze(-1), self.vector.to(output.dtype), output)

        handle = self.weights.model.get_input_embeddings().register_forward_hook(own)
        try:
            yield
        finally:
            handle.remove()


@contextmanager
def _differentiating(model: Any) -> Iterator[None]:
    """Evaluation mode with gradients; afterwards every module that was training trains again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module in training:
            module.training = True
