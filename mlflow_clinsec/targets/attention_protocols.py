"""Attention weights, as far as trigger tests read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Span = tuple[int, int]
"""Half-open character range in a text."""


@dataclass(frozen=True)
class AttentionSeen:
    """Attention of every head on given spans of n texts; NaN where a span did not survive truncation.

    Attributes:
        share: shape (n, layers, heads); the mean over query tokens (padding left out) of the attention that falls on
            the spans' tokens.
        peak: same shape; share of the query tokens that can see the spans whose largest attention falls on them.
    """

    share: FloatArray = field(repr=False)
    peak: FloatArray = field(repr=False)


class AttentionReader(Protocol):
    """Reads attention weights."""

    def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
        """Attention on the tokens of the given spans. A causal language model reads the texts as prompts.

        Raises:
            AttentionUnavailableError: the model returned no attention weights.
        """
        ...
