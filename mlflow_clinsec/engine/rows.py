"""What is left of records once they are scored: numbers and keyed digests, a few hundred bytes each, no text."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD, PATIENT, TEXT, MEMBER, LABEL = "record", "patient", "text", "member", "label"
"""Columns that every row has, the last two where the data has them."""
SCORE, TABLE = "score/", "table"
LOSS, REFERENCE_LOSS = "loss", "reference_loss"
PROBABILITIES, REFERENCE_PROBABILITIES = "probabilities", "reference_probabilities"
_REASONS, _SCORED = "reasons", "scored"

Reason = tuple[str, str]
"""Status ("skipped" or "failed") and why, free of patient text."""


@dataclass(frozen=True)
class Rows:
    """Numbers of n records.

    Attributes:
        columns: name -> array whose first axis is the record.
        reasons: attack -> why it could not be run on some of the records, and so is not run at all.
    """

    columns: Mapping[str, NDArray[Any]]
    reasons: Mapping[str, Reason] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns[RECORD])

    def scores(self, attack: str) -> NDArray[np.float64] | None:
        """Scores of an attack, shape (n,); None where it was not run or not on all records."""
        return None if attack in self.reasons else self.columns.get(SCORE + attack)

    def of(self, attacks: Collection[str]) -> Rows:
        """The same rows without the scores of other attacks."""
        others = {name for name in self.columns if name.startswith(SCORE) and name[len(SCORE) :] not in attacks}
        others |= set() if "combiner" in attacks else {TABLE}
        columns = {name: values for name, values in self.columns.items() if name not in others}
        return Rows(columns, {name: why for name, why in self.reasons.items() if name in attacks})

    def select(self, keep: NDArray[np.bool_]) -> Rows:
        """The kept rows, in order."""
        if keep.all():
            return self  # a copy of millions of rows is worth sparing
        return Rows({name: values[keep] for name, values in self.columns.items()}, self.reasons)


def to_bytes(rows: Rows, scored: Mapping[str, str]) -> bytes:
    """The rows as the bytes of an ``.npz`` file.

    Args:
        scored: attacks that they were scored by, each with a digest of its settings.
    """
    file = io.BytesIO()
    arrays: dict[str, Any] = {name.replace("/", "|"): values for name, values in rows.columns.items()}
    arrays |= {_REASONS: np.array(json.dumps(dict(rows.reasons))), _SCORED: np.array(json.dumps(dict(scored)))}
    np.savez(file, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> tuple[Rows, dict[str, str]]:
    """The rows again, and what they were scored by.

    Raises:
        ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile: this is no file of ours, or a damaged one.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        columns = {name.replace("|", "/"): found[name] for name in found.files if name not in (_REASONS, _SCORED)}
        reasons, scored = json.loads(str(found[_REASONS])), json.loads(str(found[_SCORED]))
        return Rows(columns, {attack: (str(status), str(why)) for attack, (status, why) in reasons.items()}), scored
