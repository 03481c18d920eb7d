"""Rewrites by a local language model that is told to reword."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_clinsec.perturb.instructions import instruction_or_default
from mlflow_clinsec.perturb.options import TransformersOptions
from mlflow_clinsec.perturb.pieces import rewrite_by_pieces

if TYPE_CHECKING:
    from mlflow_clinsec.targets.companion_protocols import Rewriter


class WrittenEngine:
    """Asks a model for ``count`` samples per piece of text; each call gets a seed from the record's own generator."""

    name = "transformers"

    def __init__(self, rewriter: Rewriter, options: TransformersOptions) -> None:
        self._rewriter = rewriter
        self._instruction = instruction_or_default(options.instruction)
        self._temperature = options.temperature
        self._piece_words = options.piece_words

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        return {
            "model": self._rewriter.digest,
            "instruction": self._instruction,
            "temperature": self._temperature,
            "piece_words": self._piece_words,
        }

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        if not text.strip():
            return []

        def ask(piece: str) -> list[str]:
            seed = int(rng.integers(2**31))
            return self._rewriter.write(self._instruction, piece, count, self._temperature, seed)

        return rewrite_by_pieces(text, count, self._piece_words, ask)
