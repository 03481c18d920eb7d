"""What every paraphraser offers, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from mlflow_clinsec.errors import ConfigError, did_you_mean


class ParaphraseEngine(Protocol):
    """Rewrites a text without changing what it says. Its proposals still pass the fidelity gate."""

    @property
    def name(self) -> str:
        """Shown in the report."""
        ...

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """Up to ``count`` distinct rewrites, none equal to the text; fewer where it has no more to offer."""
        ...


def _rules() -> ParaphraseEngine:
    from mlflow_clinsec.perturb.rules import RulesEngine

    return RulesEngine()


ENGINES: dict[str, Callable[[], ParaphraseEngine]] = {"rules": _rules}


def make_engine(name: str) -> ParaphraseEngine:
    """The engine of that name. Raises ConfigError naming the allowed ones."""
    if name not in ENGINES:
        raise ConfigError(f"paraphrase.engine: unknown engine {name!r}.{did_you_mean(name, ENGINES)}")
    return ENGINES[name]()
