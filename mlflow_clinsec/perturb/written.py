"""Rewrites by a local language model that is told to reword."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_clinsec.perturb.instructions import instruction_or_default
from mlflow_clinsec.perturb.options import TransformersOptions

if TYPE_CHECKING:
    from mlflow_clinsec.targets.companion_protocols import Rewriter


class WrittenEngine:
    """Asks a model for ``count`` samples per text; the seed of each call comes from the record's own generator."""

    name = "transformers"

    def __init__(self, rewriter: Rewriter, options: TransformersOptions) -> None:
        self._rewriter = rewriter
        self._instruction = instruction_or_default(options.instruction)
        self._temperature = options.temperature

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        return {
            "model": self._rewriter.digest,
            "instruction": self._instruction,
            "temperature": self._temperature,
        }

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        seed = int(rng.integers(2**31))
        if not text.strip():
            return []
        return self._rewriter.write(self._instruction, text, count, self._temperature, seed)
