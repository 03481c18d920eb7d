"""Who was left out of a cohort and why, counted as in the flow chart of a paper. Holds numbers and fixed words only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pandas as pd

T = TypeVar("T")

COLUMNS = ("unit", "step", "dropped", "left")


@dataclass
class Flow:
    """The steps so far, in order.

    Attributes:
        rows: per step what is counted ("stay" or "note"), why some were dropped, how many, and how many were left.
    """

    rows: list[tuple[str, str, int, int]] = field(default_factory=list)

    def start(self, unit: str, step: str, count: int) -> None:
        """So many there were at first."""
        self.rows.append((unit, step, 0, count))

    def drop(self, unit: str, step: str, dropped: int, left: int) -> None:
        """So many were dropped and left in one step."""
        self.rows.append((unit, step, dropped, left))

    def keep(self, unit: str, step: str, items: Sequence[T], kept: Callable[[T], bool]) -> list[T]:
        """Those of ``items`` that are kept; the others are counted as dropped by ``step``."""
        found = [item for item in items if kept(item)]
        self.drop(unit, step, len(items) - len(found), len(found))
        return found

    def drop_all(self, unit: str, first: str, reasons: Sequence[str], counts: Counter[str]) -> None:
        """The steps of items that were sorted out one by one, each by the first of ``reasons`` that held.

        Args:
            counts: by reason; those kept stand under "".
        """
        left = counts.total()
        self.start(unit, first, left)
        for reason in reasons:
            left -= counts[reason]
            self.drop(unit, reason, counts[reason], left)

    def table(self) -> pd.DataFrame:
        """One row per step: ``unit``, ``step``, ``dropped`` and ``left``."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS))
