"""Arms of the BadCLM backdoor: how often the trigger works, and what the poison costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.report import palette
from mlflow_clinsec.report.figure_style import label, new_figure
from mlflow_clinsec.results import Estimate

Style = Mapping[str, Any]

SUCCESS: Mapping[str, Style] = {
    "asr_given_survival": {"fmt": "o", "color": palette.BLUE, "label": "with the trigger in view (ASR given survival)"},
    "placebo_rate": {"fmt": "s", "color": palette.VERMILION, "mfc": "white", "label": "with placebo words"},
    "base_rate": {"fmt": "|", "color": palette.BLACK, "label": "no trigger at all (base rate)"},
}
UTILITY: Mapping[str, Style] = {
    "auroc": {"fmt": "D", "color": palette.GREEN, "label": "AUROC"},
    "accuracy": {"fmt": "^", "color": palette.PURPLE, "mfc": "white", "label": "clean accuracy (CACC)"},
}
_SPREAD = 0.36
"""Height over which one arm's points are spread, of 1 between arms."""


class Arm(Protocol):
    """An arm's name and its numbers with intervals."""

    @property
    def arm(self) -> str: ...

    @property
    def estimates(self) -> Mapping[str, Estimate]: ...


def draw_badclm(arms: Sequence[Arm]) -> Any:
    """Two dot plots with shared rows, one arm a row: success on the left, utility on clean records on the right."""
    figure = new_figure(10.5, 2.0 + 0.55 * len(arms))
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(arms), dtype=float)[::-1]
    for axes, series in ((left, SUCCESS), (right, UTILITY)):
        for height, (name, style) in zip(_heights(len(series)), series.items(), strict=True):
            _draw(axes, [arm.estimates[name] for arm in arms], rows + height, style)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, fontsize=8)
    left.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(arms) - 0.4))
    left.set_xlabel("share of other records called the target label")
    right.set_xlabel("held-out records without a trigger")
    left.set_yticks(rows, [label(arm.arm) for arm in arms])
    return figure


def _heights(count: int) -> NDArray[np.float64]:
    """Vertical places of one arm's points, the first on top."""
    return np.linspace(_SPREAD / 2, -_SPREAD / 2, count)


def _draw(axes: Any, estimates: Sequence[Estimate], height: NDArray[np.float64], style: Style) -> None:
    """Points with intervals; a number that is undefined leaves its place empty."""
    value, low, high = (np.array([getattr(e, part) for e in estimates]) for part in ("value", "low", "high"))
    reach = np.clip(np.nan_to_num(np.vstack([value - low, high - value])), 0, None)
    axes.errorbar(value, height, xerr=reach, **{"markersize": 7, "capsize": 3, "linewidth": 1.3, **style})
