"""Small-cell suppression: no count of people or records below ``min_cell`` leaves this process.

Statistical offices and hospital data agreements hide counts of 1 to 10, because a small cell can single out
a patient; 11 is therefore the default for the smallest count that is shown. Zero is shown: it names nobody.
Where hiding one cell of a breakdown would let it be worked out from the total, the next smallest is withheld
too.

What is a count: every whole number of the data summary, and elsewhere what :func:`is_count` recognises by
its name. Rates and intervals are shown: they describe what the model does, and the number of records they
rest on is hidden where it is small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import pandas as pd

MIN_CELL = 11
WITHHELD = "withheld"
"""Shown in place of a larger count that would give a suppressed one away."""

_COUNT_NAMES = frozenset({"n", "count", "counts", "records", "patients", "members", "nonmembers"})
_PARTITIONS = {"records": ("members", "nonmembers"), "patients": ("member_patients", "nonmember_patients")}
_PARTITION_COLUMNS = frozenset({"count", "records", "patients", "members", "nonmembers"})


def is_count(name: str) -> bool:
    """Whether a column or value of this name counts records or patients ("n_members", "members", "n")."""
    last = name.rsplit("/", 1)[-1]
    return last in _COUNT_NAMES or last.startswith("n_") or last.endswith("_count")


def is_small(value: object, min_cell: int) -> bool:
    """Whether a value is a count from 1 to ``min_cell - 1``; NaN, zero and text are not."""
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        return False
    return 0 < float(value) < min_cell


def show_count(value: int, min_cell: int) -> int | str:
    """The count itself, or "<11" where it is small."""
    return small_label(min_cell) if is_small(value, min_cell) else value


def small_label(min_cell: int) -> str:
    """What stands in place of a small count."""
    return f"<{min_cell}"


def mask_summary(summary: Mapping[str, Any], min_cell: int = MIN_CELL) -> dict[str, Any]:
    """A nested mapping in which every whole number is a count, with small counts suppressed.

    An inner mapping that holds nothing but counts is read as a breakdown (labels, reasons): where exactly one
    of its cells is small, the next smallest is withheld as well; so for members beside non-members. A total is
    withheld where it differs from their sum by a small count (records that the overlap guard left out).
    """
    masked = {key: _mask_branch(value, min_cell) for key, value in summary.items()}
    for total, names in _PARTITIONS.items():
        cells = {name: summary[name] for name in names if _is_whole(summary.get(name))}
        masked.update(_mask_partition(cells, min_cell))
        if cells and _is_whole(masked.get(total)) and is_small(abs(summary[total] - sum(cells.values())), min_cell):
            masked[total] = WITHHELD
    return masked


def mask_named(values: Mapping[str, Any], min_cell: int = MIN_CELL) -> dict[str, Any]:
    """A nested mapping in which only entries named like counts are suppressed; the rest is left as it is."""
    return {key: _mask_named_value(key, value, min_cell) for key, value in values.items()}


def mask_table(table: pd.DataFrame, min_cell: int = MIN_CELL) -> pd.DataFrame:
    """A copy whose count columns hold "<11" (and "withheld") where they must; other columns are untouched."""
    masked = table.copy()
    for column in (c for c in table.columns if is_count(str(c))):
        cells = dict(enumerate(table[column].tolist()))
        if str(column) in _PARTITION_COLUMNS:
            shown = _mask_partition(cells, min_cell)
        else:
            shown = {row: _mask_count(cell, min_cell) for row, cell in cells.items()}
        if shown != cells:
            masked[column] = pd.Series(list(shown.values()), index=table.index, dtype=object)
    return masked


def _mask_branch(value: Any, min_cell: int) -> Any:
    if not isinstance(value, Mapping):
        return _mask_count(value, min_cell) if _is_whole(value) else value
    if value and all(_is_whole(cell) for cell in value.values()):
        return _mask_partition(value, min_cell)
    return mask_summary(value, min_cell)


def _mask_named_value(key: str, value: Any, min_cell: int) -> Any:
    if isinstance(value, Mapping):
        return _mask_branch(value, min_cell) if is_count(key) else mask_named(value, min_cell)
    if is_count(key) and isinstance(value, Sequence) and not isinstance(value, str):
        return [_mask_count(item, min_cell) for item in value]
    return _mask_count(value, min_cell) if is_count(key) else value


def _mask_count(value: Any, min_cell: int) -> Any:
    return small_label(min_cell) if is_small(value, min_cell) else value


def _mask_partition(cells: Mapping[Any, Any], min_cell: int) -> dict[Any, Any]:
    masked = {key: _mask_count(value, min_cell) for key, value in cells.items()}
    small = [key for key, value in cells.items() if is_small(value, min_cell)]
    if len(small) == 1:
        others = [key for key, value in cells.items() if key not in small and value > 0]
        if others:
            masked[min(others, key=lambda key: cells[key])] = WITHHELD
    return masked


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
