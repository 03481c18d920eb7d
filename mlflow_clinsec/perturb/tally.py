"""What becomes a ParaphraseSet, gathered record by record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mlflow_clinsec.data import ParaphraseSet

logger = logging.getLogger(__name__)


class Pair(NamedTuple):
    """A record's prompt and response; plain text has an empty prompt."""

    prompt: str
    response: str


@dataclass
class Tally:
    """Pairs, and counts per record."""

    record: list[int] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, accepted: Sequence[Pair], tried: int, refusals: Counter[str]) -> None:
        """Take in the next record."""
        self.record += [len(self.tried)] * len(accepted)
        self.pairs += accepted
        self.tried.append(tried)
        self.accepted.append(len(accepted))
        self.refusals += refusals

    def as_set(self, engine: str) -> ParaphraseSet:
        """The finished set."""
        return ParaphraseSet(
            record=np.asarray(self.record, dtype=np.int64),
            prompts=tuple(pair.prompt for pair in self.pairs),
            responses=tuple(pair.response for pair in self.pairs),
            tried=np.asarray(self.tried, dtype=np.int64),
            accepted=np.asarray(self.accepted, dtype=np.int64),
            refusals=dict(sorted(self.refusals.items())),
            engine=engine,
        )


def log_yield(made: ParaphraseSet) -> None:
    """Say how the paraphraser fared, in counts."""
    logger.info(
        "clinsec: paraphrases (%s): %d accepted of %d tried, %d of %d records without any",
        made.engine,
        int(made.accepted.sum()),
        int(made.tried.sum()),
        int((made.accepted == 0).sum()),
        made.accepted.size,
    )
