"""Cells of a clinical database as times, numbers and flags. Messages name file, line and column, never the cell."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from mlflow_clinsec.datasets.cohort.csv_table import Row
from mlflow_clinsec.datasets.rows import identifier_of
from mlflow_clinsec.errors import DataError

_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d)?")
_WHOLE = re.compile(r"(-?\d+)(\.0+)?")
_OR_NOTHING = {True: " or nothing", False: ""}
_FLAGS = {"": False, "0": False, "0.0": False, "1": True, "1.0": True}


@dataclass(frozen=True)
class Record:
    """One record and where it stands."""

    title: str
    line: int
    row: Row

    def text(self, column: str) -> str:
        """The cell without white space around it."""
        return self.row[column].strip()

    def identifier(self, column: str) -> str:
        """A patient, admission or stay; ``123.0``, as pandas writes it beside gaps, is ``123``."""
        return identifier_of(self.row, column, self.title, self.line)

    def time(self, column: str) -> datetime | None:
        """A time; None where the cell is blank. MIMIC-III's years reach far into the future, so pandas' would overflow.

        Raises:
            DataError: anything but ``2150-01-31 12:30:00`` or ``2150-01-31``.
        """
        if not (text := self.text(column)):
            return None
        if _TIME.fullmatch(text):
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass  # such as month 13
        raise self.error(column, "expected a time such as 2150-01-31 12:30:00")

    def needed_time(self, column: str) -> datetime:
        """A time that may not be missing."""
        if (found := self.time(column)) is None:
            raise self.error(column, "expected a time, got nothing")
        return found

    def whole(self, column: str) -> int | None:
        """A whole number; None where the cell is blank."""
        if not (text := self.text(column)):
            return None
        if match := _WHOLE.fullmatch(text):
            return int(match[1])
        raise self.error(column, "expected a whole number")

    def needed_whole(self, column: str) -> int:
        """A whole number that may not be missing."""
        if (found := self.whole(column)) is None:
            raise self.error(column, "expected a whole number, got nothing")
        return found

    def flag(self, column: str, blank: bool = True) -> bool:
        """0 or 1; blank stands for 0 where that is allowed."""
        text = self.text(column)
        if text not in _FLAGS or not (text or blank):
            raise self.error(column, "expected 0 or 1")
        return _FLAGS[text]

    def choice(self, column: str, allowed: Collection[str]) -> str:
        """One of some words, whatever its case."""
        if (text := self.text(column).lower()) not in allowed:
            raise self.error(
                column,
                f"expected {' or '.join(repr(word) for word in sorted(allowed) if word)}{_OR_NOTHING['' in allowed]}",
            )
        return text

    def error(self, column: str, what: str) -> DataError:
        """The error to raise about a cell."""
        return DataError(f"{self.title}: line {self.line}, column {column!r}: {what}.")


class Distinct:
    """Refuses an id that comes twice."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._seen: set[str] = set()

    def check(self, record: Record) -> str:
        """The id of a record.

        Raises:
            DataError: an earlier record has it.
        """
        name = record.identifier(self.column)
        if name in self._seen:
            raise record.error(self.column, "repeats the id of an earlier line")
        self._seen.add(name)
        return name
