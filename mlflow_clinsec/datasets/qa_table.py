"""A plain table of prompt, response and patient, read strictly."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mlflow_clinsec.datasets.rows import identifier_of, read_rows, text_of
from mlflow_clinsec.errors import DataError

logger = logging.getLogger(__name__)

TITLE = "table"
_TRUE, _FALSE = {"true", "1", "1.0"}, {"false", "0", "0.0"}


@dataclass(frozen=True)
class QATable:
    """Which column holds what.

    Attributes:
        prompt, response, patient: columns that every row must fill.
        record: column of record ids, none of which may come twice; "" when there is none.
        member: column that says whether the record was trained on (true, false, 1 or 0); "" when there is none.
        skip_empty: leave rows with an empty prompt or response out, and say how many, instead of refusing them.
    """

    prompt: str = "prompt"
    response: str = "response"
    patient: str = "patient"
    record: str = ""
    member: str = ""
    skip_empty: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return tuple(filter(None, (self.prompt, self.response, self.patient, self.record, self.member)))

    def load(self, path: str) -> pd.DataFrame:
        """Read ``path``; see :func:`load_qa_table`."""
        return load_qa_table(path, self)


@dataclass
class Blanks:
    """Rows left out for having no prompt or no response."""

    title: str
    skip: bool
    count: int = field(default=0, init=False)

    def blank(self, line: int, **cells: str) -> bool:
        """Whether a cell is empty; refused unless such rows are skipped."""
        empty = [name for name, text in cells.items() if not text]
        if empty and not self.skip:
            raise DataError(
                f"{self.title}: line {line} has an empty {empty[0]}; set skip_empty to leave such rows out."
            )
        self.count += bool(empty)
        return bool(empty)

    def report(self) -> None:
        """Say how many rows were left out."""
        if self.count:
            logger.warning("%s: %d rows without prompt or response were left out", self.title, self.count)


def load_qa_table(path: str, columns: QATable | None = None) -> pd.DataFrame:
    """Read a table of question-answer pairs row by row.

    Args:
        path: CSV, JSON lines, JSON or Parquet; see :func:`~mlflow_clinsec.datasets.rows.read_rows`.
        columns: which column holds what.

    Returns:
        One row per pair: ``patient_id``, ``prompt``, ``response``, and ``in_training`` where ``columns.member`` is set.

    Raises:
        DataError: the file cannot be read, a column is missing, a prompt or response is empty, a patient id is missing,
            a record id comes twice, a member cell is neither true nor false, or there is no row.
    """
    found = pd.DataFrame(_pairs(Path(path), columns or QATable()))
    if found.empty:
        raise DataError(f"{TITLE}: no rows.")
    return found


def _pairs(path: Path, columns: QATable) -> Iterator[dict[str, Any]]:
    blanks = Blanks(TITLE, columns.skip_empty)
    seen: set[str] = set()
    for line, row in read_rows(path, columns.columns, TITLE):
        prompt, response = (text_of(row, name, TITLE, line) for name in (columns.prompt, columns.response))
        pair: dict[str, Any] = {"patient_id": identifier_of(row, columns.patient, TITLE, line)}
        pair |= {"prompt": prompt, "response": response}
        if columns.record:
            _refuse_repeat(identifier_of(row, columns.record, TITLE, line), seen, columns.record, line)
        if columns.member:
            pair["in_training"] = _flag(row, columns.member, line)
        if not blanks.blank(line, prompt=prompt, response=response):
            yield pair
    blanks.report()


def _refuse_repeat(record: str, seen: set[str], name: str, line: int) -> None:
    if record in seen:
        raise DataError(f"{TITLE}: line {line} repeats the {name!r} of an earlier line; record ids must differ.")
    seen.add(record)


def _flag(row: Mapping[str, Any], name: str, line: int) -> bool:
    value = str(row[name]).strip().lower()
    if value not in _TRUE | _FALSE:
        raise DataError(f"{TITLE}: line {line}: {name!r} must be true or false (or 1 or 0).")
    return value in _TRUE
