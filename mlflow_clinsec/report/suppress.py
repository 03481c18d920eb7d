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


def withheld(min_cell: int) -> str:
    """Why a number is not shown."""
    return f"withheld: it rests on fewer than {min_cell} records or patients"


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
    """Cells of a breakdown whose total may be known: with small ones, others are hidden that would give them away.

    Those are all that are hardly larger, and the next smallest where a cell would be hidden alone. Small cells read
    "<11" and the larger ones "withheld", unless that would narrow a small cell down too far for someone who knows the
    total and these rules: then all that is hidden reads "withheld". Which of the two is decided from what he knows
    anyway, so that the decision tells him nothing.
    """
    small = [key for key, value in cells.items() if is_small(value, min_cell)]
    others = sorted((key for key in cells if key not in small and cells[key] > 0), key=lambda key: cells[key])
    if not small or len(cells) == 1:
        return {key: _mask_count(value, min_cell) for key, value in cells.items()}
    hidden = small + [key for key in others if cells[key] < _close(min_cell)]
    others = [key for key in others if key not in hidden]
    if others and (len(hidden) == 1 or _slack(hidden, cells) < min_cell // 2):
        hidden, others = [*hidden, others[0]], others[1:]
    shown = min((cells[key] for key in others), default=math.inf)
    total = sum(cells[key] for key in hidden)
    if _tells_little(len(hidden), total, shown, min_cell):
        return {key: _mask_count(value, min_cell) for key, value in cells.items()} | {
            key: WITHHELD for key in hidden if key not in small
        }
    if _slack(hidden, cells) < min_cell // 2:  # all of them are near 1: which cells are empty must not show either
        hidden += [key for key, value in cells.items() if value == 0]
    return dict(cells) | dict.fromkeys(hidden, WITHHELD)


def _slack(hidden: Sequence[Any], cells: Mapping[Any, Any]) -> float:
    """By how much the hidden cells exceed 1 each, together."""
    return float(sum(cells[key] for key in hidden)) - len(hidden)


def _tells_little(hidden: int, total: float, next_shown: float, min_cell: int) -> bool:
    """Whether every way of labelling so many hidden cells of this total leaves each small one half the small range."""
    if total < min_cell:  # such a total is hidden itself
        return hidden <= min_cell // 2
    most = next_shown if hidden == 2 else min(next_shown, _close(min_cell) - 1)
    splits = ((few, hidden - few) for few in range(1, hidden + 1))
    ranges = [_range(few, many, total, most, min_cell) for few, many in splits]
    return all(high < low or high - low >= min_cell // 2 for low, high in ranges)


def _close(min_cell: int) -> int:
    """Cells below this are hidden beside small ones."""
    return min_cell + min_cell // 2


def _range(few: int, many: int, total: float, most: float, min_cell: int) -> tuple[float, float]:
    """Least and largest value of one of ``few`` small cells beside ``many`` withheld ones of at most ``most``."""
    low = total - (few - 1) * (min_cell - 1) - (many * most if many else 0)
    return max(1, low), min(min_cell - 1, total - (few - 1) - many * min_cell)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
