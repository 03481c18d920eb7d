"""Rows that come in pieces, put in their places as they come, so that no number is ever held twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.engine.rows import RECORD, Reason, Rows


class Assembly:
    """The rows of neighbouring records.

    Args:
        first: number of the first record.
        size: how many there are at most; canaries leave gaps.
    """

    def __init__(self, first: int, size: int) -> None:
        self._first = first
        self._there = np.zeros(size, dtype=bool)
        self._columns: dict[str, NDArray[Any]] | None = None
        self._reasons: dict[int, Mapping[str, Reason]] = {}

    def put(self, rows: Rows) -> None:
        """Take some rows, in whatever order they come. A piece without rows has nothing to say."""
        if not len(rows):
            return
        if self._columns is None:
            self._columns = {name: self._room(values) for name, values in rows.columns.items()}
        places = rows.columns[RECORD] - self._first
        self._columns = {name: column for name, column in self._columns.items() if name in rows.columns}
        for name, column in self._columns.items():
            column[places] = rows.columns[name]
        self._there[places] = True
        self._reasons[int(places[0])] = rows.reasons

    def rows(self) -> Rows:
        """All rows, in the records' order. A column that one piece lacks is left out; the first record's reason
        stands, whoever came first."""
        reasons: dict[str, Reason] = {}
        for first in sorted(self._reasons, reverse=True):
            reasons |= self._reasons[first]
        columns = {RECORD: np.empty(self._there.size, dtype=np.int64)} if self._columns is None else self._columns
        return Rows(columns, reasons).select(self._there)

    def _room(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.empty((self._there.size, *values.shape[1:]), dtype=values.dtype)
