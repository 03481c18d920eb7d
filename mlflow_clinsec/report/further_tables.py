"""Tables of further tests, as rows of cells for the audit card.

A test's table is shown when it stands in ``VIEWS``. Long ones (a row per attention head) are left to figures and files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlflow_clinsec.report.further_views import VIEWS, View
from mlflow_clinsec.report.suppress import is_count, mask_table
from mlflow_clinsec.report.wording import interval, number, p_value, visible
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Status

WHOLE = frozenset({"rank"})
"""Columns of whole numbers that pandas holds as floats, because some rows have none."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a second line, and whether it is a figure."""

    text: str
    below: str = ""
    figure: bool = False


def further_tables(report: AuditReport, min_cell: int) -> list[dict[str, Any]]:
    """Everything the card needs of each table shown: view, headings and rows of cells."""
    return [
        {"view": view, "headings": [view.columns[c] for c in columns], "rows": rows, "id": f"cap-{name}-{table}"}
        for name, table, view, frame in _shown(report)
        if (columns := [c for c in view.columns if c in frame])
        and (rows := list(_rows(mask_table(frame, min_cell), columns)))
    ]


def has_view(result: AttackResult) -> bool:
    """Whether a table of the result is on the card, so that its estimates need not be listed again."""
    return any((result.name, table) in VIEWS for table in result.tables)


def _shown(report: AuditReport) -> Iterator[tuple[str, str, View, pd.DataFrame]]:
    for result in report.results:
        if result.status is Status.OK:
            for table, frame in result.tables.items():
                if view := VIEWS.get((result.name, table)):
                    yield result.name, table, view, frame


def _rows(frame: pd.DataFrame, columns: list[str]) -> Iterator[list[Cell]]:
    for row in frame.to_dict(orient="records"):
        yield [_cell(row, column) for column in columns]


def _cell(row: Mapping[Any, Any], column: str) -> Cell:
    value = row[column]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("n/a", figure=True)
    if isinstance(value, (str, bool)):
        return Cell(visible(value), figure=is_count(column))
    if is_count(column) or column in WHOLE or isinstance(value, int):
        return Cell(str(int(value)), figure=True)
    if column.startswith("p_"):
        return Cell(p_value(float(value)), figure=True)
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    below = interval(Estimate(float(value), low, high, 0)) if low is not None and high is not None else ""
    return Cell(number(float(value)), below, figure=True)
