"""How often something happened in simulated audits, held against what it promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.shares import clopper_pearson

ALARM = 0.05
"""Most false alarms that any p-value, bound or verdict may raise."""
COVERAGE = (0.93, 0.97)
"""Share of 95% intervals that should hold the truth."""


@dataclass(frozen=True)
class Rate:
    """One share over simulated audits, with its own 95% interval (Clopper-Pearson).

    Attributes:
        what: the number tested, as the product names it.
        case: the simulated audits.
        kind: "false alarm" or "coverage".
        events, runs: false alarms, or intervals that held the truth, of so many.
        above: share of intervals wholly above the truth (coverage only): these are what fails a model by chance.
    """

    what: str
    case: str
    kind: str
    events: int
    runs: int
    above: float | None = None

    @property
    def value(self) -> float:
        """events / runs."""
        return self.events / self.runs

    @property
    def holds(self) -> bool:
        """Whether the promise is kept within the simulation's error; too wide an interval breaks none."""
        low, high = clopper_pearson(self.events, self.runs)
        return low <= ALARM if self.kind == "false alarm" else high >= COVERAGE[0]

    @property
    def exact(self) -> bool:
        """Whether it also does not cover too much."""
        return self.kind == "false alarm" or clopper_pearson(self.events, self.runs)[0] <= COVERAGE[1]

    def as_json(self) -> dict[str, Any]:
        """For the benchmark's JSON object."""
        low, high = clopper_pearson(self.events, self.runs)
        return asdict(self) | {"rate": self.value, "low": low, "high": high, "holds": self.holds, "exact": self.exact}


def false_alarms(case: str, events: Mapping[str, Iterable[bool | None]]) -> list[Rate]:
    """One rate for each event; None marks an audit that could not tell and is left out."""
    counted = {what: [bool(e) for e in seen if e is not None] for what, seen in events.items()}
    return [Rate(what, case, "false alarm", sum(seen), len(seen)) for what, seen in counted.items() if seen]


def coverage(what: str, case: str, estimates: Iterable[Estimate], truth: float) -> Rate:
    """How often the interval holds the truth."""
    bounds = np.array([(e.low, e.high) for e in estimates if e.is_defined])
    inside = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
    return Rate(what, case, "coverage", int(inside.sum()), len(bounds), float((bounds[:, 0] > truth).mean()))
