"""The records under audit, in the one shape that every attack reads.

A record is a prompt and a response; plain notes have an empty prompt. Patients are kept as integer codes: once
the data is read, no identifier is needed any more and none is carried along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ParaphraseSet:
    """Accepted rewrites of the records, flat: rewrite j belongs to record ``record[j]``.

    Attributes:
        record: shape (m,), index into the audited records, ascending.
        prompts, responses: the rewritten pairs, m each.
        tried: shape (n_records,), rewrites proposed per record.
        accepted: shape (n_records,), rewrites that passed the fidelity gate per record.
        refusals: refusal reason -> count over all records.
        engine: what made them, for the report.
    """

    record: IntArray
    prompts: tuple[str, ...] = field(repr=False)
    responses: tuple[str, ...] = field(repr=False)
    tried: IntArray = field(repr=False)
    accepted: IntArray = field(repr=False)
    refusals: Mapping[str, int]
    engine: str

    def mean_by_record(self, values: NDArray[np.float64], n_records: int) -> NDArray[np.float64]:
        """Mean of a per-rewrite array over each record's rewrites, shape (n_records,); NaN where there is none."""
        sums = np.bincount(self.record, weights=values, minlength=n_records)
        counts = np.bincount(self.record, minlength=n_records)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(counts > 0, sums / counts, np.nan)

    def select(self, keep: BoolArray) -> ParaphraseSet:
        """The rewrites of the kept records, renumbered."""
        renumber = np.cumsum(keep) - 1
        rows = np.flatnonzero(keep[self.record])
        return ParaphraseSet(
            record=renumber[self.record[rows]].astype(np.int64),
            prompts=tuple(self.prompts[i] for i in rows),
            responses=tuple(self.responses[i] for i in rows),
            tried=self.tried[keep],
            accepted=self.accepted[keep],
            refusals=self.refusals,
            engine=self.engine,
        )


@dataclass(frozen=True)
class AuditData:
    """n records under audit.

    Attributes:
        prompts, responses: n strings each; ``prompts`` are "" for plain text. Never printed.
        labels: n true labels as strings, or None.
        member: shape (n,), True where the record was in the training data, or None.
        group: shape (n,), integer patient code (each record its own when no patient column was given).
        grouped: whether a patient column was given.
        paraphrases: accepted rewrites, or None.
        ready_rewrites: columns of n rewrites that the user brought along; what is missing is "".
        canaries: canaries that were planted before training, ``member`` saying which; never among the records.
        subgroups: column -> n levels, by which results are broken down. Never printed level by level.
        precomputed: per-record columns that stand in for the model, by role ("nll", "probabilities", ...).
    """

    prompts: tuple[str, ...] = field(repr=False)
    responses: tuple[str, ...] = field(repr=False)
    group: IntArray = field(repr=False)
    grouped: bool = False
    labels: tuple[str, ...] | None = field(default=None, repr=False)
    member: BoolArray | None = field(default=None, repr=False)
    paraphrases: ParaphraseSet | None = field(default=None, repr=False)
    ready_rewrites: tuple[tuple[str, ...], ...] = field(default=(), repr=False)
    canaries: AuditData | None = field(default=None, repr=False)
    subgroups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    precomputed: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def has_prompts(self) -> bool:
        """Whether the records are prompt and response pairs rather than plain text."""
        return any(self.prompts)

    @property
    def texts(self) -> tuple[str, ...]:
        """What a classifier or the blind attack reads: the prompt, if any, and the response."""
        if not self.has_prompts:
            return self.responses
        return tuple(f"{p}\n{r}" for p, r in zip(self.prompts, self.responses, strict=True))

    def select(self, keep: BoolArray) -> AuditData:
        """The kept records, in order. Precomputed columns are cut alike."""
        rows = np.flatnonzero(keep)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in rows),
            responses=tuple(self.responses[i] for i in rows),
            group=self.group[keep],
            labels=None if self.labels is None else tuple(self.labels[i] for i in rows),
            member=None if self.member is None else self.member[keep],
            paraphrases=None if self.paraphrases is None else self.paraphrases.select(keep),
            ready_rewrites=tuple(tuple(column[i] for i in rows) for column in self.ready_rewrites),
            subgroups={k: tuple(v[i] for i in rows) for k, v in self.subgroups.items()},
            precomputed={k: v[keep] if isinstance(v, np.ndarray) else v for k, v in self.precomputed.items()},
        )
