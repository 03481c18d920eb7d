"""What a worker does: reads a part of the records, scores it, and gives back numbers alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets.manifest import read_canaries
from mlflow_clinsec.engine.assembly import Assembly
from mlflow_clinsec.engine.batch import score_batch
from mlflow_clinsec.engine.columns import Columns, batch_data, patients
from mlflow_clinsec.engine.digests import keyed, words_of
from mlflow_clinsec.engine.division import widened
from mlflow_clinsec.engine.rows import MEMBER, PATIENT, RECORD, TEXT, Rows
from mlflow_clinsec.engine.shards import Part, frames_of
from mlflow_clinsec.privacy import table as privacy_table
from mlflow_clinsec.targets.protocols import Target

WARM_UP_TEXTS = 8


@dataclass(frozen=True)
class Worker:
    """A loaded model, and how its records are read.

    Attributes:
        key: of the digests of patients and texts.
        head: the first records.
    """

    config: AuditConfig
    target: Target
    columns: Columns
    key: bytes = field(repr=False)
    head: AuditData = field(repr=False)

    def score(self, part: Part) -> Rows:
        """Numbers of the part's records, canaries left out.

        Raises:
            DataError, TargetError: see :mod:`mlflow_clinsec.engine.columns`; the model cannot be read.
        """
        found = Assembly(part.record, part.rows)
        with _threads(self.config.scale.cpus_per_worker):
            for rows in self._batches(part, self.attacks):
                found.put(rows)
        return found.rows()

    @property
    def asked(self) -> tuple[Attack, ...]:
        """The membership attacks of the configuration."""
        privacy = self.config.privacy
        return privacy_table.select(privacy, self.target) if privacy else ()

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """Those that are scored: also what costs no further pass, where a later audit can find it."""
        privacy, asked = self.config.privacy, self.asked
        return widened(asked, privacy, self.target) if privacy and self.config.scale.checkpoint else asked

    def warm_up(self) -> None:
        """Score the first records, once: a model's output head is chosen on the first text that it sees, and must be
        the same in all workers."""
        few = self.head.prompts[:WARM_UP_TEXTS], self.head.responses[:WARM_UP_TEXTS]
        with _threads(self.config.scale.cpus_per_worker):
            for scorer in (self.target.scorer, *self.target.references):
                if scorer is not None:
                    scorer.token_stats(*few)
        forget(self.target)

    def _batches(self, part: Part, attacks: tuple[Attack, ...]) -> Iterator[Rows]:
        record = part.record
        canaries = _canaries(self.config)
        for frame in frames_of(part, self.columns.names, self.config.scale.batch_records):
            data = batch_data(frame, self.columns, self.config)
            keep = np.array([pair not in canaries for pair in zip(data.prompts, data.responses, strict=True)])
            rows = Rows(self._known(frame, data, record)).select(keep)
            record += len(frame)
            if attacks and len(rows):
                found = score_batch(data.select(keep), self.target, attacks, self.config)
                rows = Rows({**rows.columns, **found.columns}, found.reasons)
                forget(self.target)
            yield rows

    def _known(self, frame: pd.DataFrame, data: AuditData, record: int) -> dict[str, NDArray[Any]]:
        """What is known of each record without the model."""
        numbers = np.arange(record, record + len(frame), dtype=np.int64)
        named = patients(frame, self.columns)
        known: dict[str, NDArray[Any]] = {
            RECORD: numbers,
            PATIENT: numbers.astype(np.uint64) if named is None else keyed(named, self.key),
            TEXT: keyed(map(words_of, data.texts), self.key),
        }
        return known if data.member is None else {**known, MEMBER: data.member}


def forget(target: Target) -> None:
    """Drop what the target's memos hold: text passes by once, and a memo of all of it would fill the memory."""
    roles: list[Any] = [target.scorer, target.label_scorer, target.masked_scorer, target.predictor]
    for role in (*roles, *target.references, *target.label_references, *target.masked_references):
        if hasattr(role, "forget"):
            role.forget()


def _canaries(config: AuditConfig) -> frozenset[tuple[str, str]]:
    """Planted canaries, which are judged apart."""
    path = config.privacy.canaries if config.privacy else None
    if path is None:
        return frozenset()
    planted = read_canaries(path, config.data.label_names)
    return frozenset(zip(planted.prompts, planted.responses, strict=True))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many threads everywhere: another number of them adds floats in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
