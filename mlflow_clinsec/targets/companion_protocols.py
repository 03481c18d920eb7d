"""Roles of masked language models, and of models that help an attack rather than being audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Span = tuple[int, int]


class Candidates(NamedTuple):
    """Words that may stand in one place, most probable first, and their log-probabilities, shape (n_words,)."""

    words: tuple[str, ...]
    logp: FloatArray


class MaskedScorer(Protocol):
    """A masked language model that is asked how well it knows the words that are hidden from it."""

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> FloatArray:
        """Sum of the negative log-likelihoods, in nats, of all word pieces in a text's spans when all of them are
        masked at once, shape (n_texts,). It does not depend on the other texts."""
        ...


class Infiller(Protocol):
    """A masked language model that proposes other words."""

    @property
    def digest(self) -> str:
        """Fingerprint of the model."""
        ...

    def candidates(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], top: int
    ) -> list[tuple[Candidates, ...]]:
        """For each text, with all its spans masked at once, up to ``top`` whole words per span other than the one
        that stands there."""
        ...


class Rewriter(Protocol):
    """A model that writes text when told what to do."""

    @property
    def digest(self) -> str:
        """Fingerprint of the model."""
        ...

    def write(self, instruction: str, text: str, count: int, temperature: float, seed: int) -> list[str]:
        """``count`` samples; fewer where the text does not fit into the model. The same seed gives the same."""
        ...
