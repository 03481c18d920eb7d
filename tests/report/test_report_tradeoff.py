"""The figure of utility against leakage."""

from __future__ import annotations

import math

from mlflow_clinsec.report.figure_style import house_style, png
from mlflow_clinsec.report.figure_tradeoff import TradeOff, draw_tradeoff
from mlflow_clinsec.results import Estimate

BASE = Estimate(3.5, 3.4, 3.6, 20)


def point(name: str, auc: float) -> TradeOff:
    return TradeOff(name, Estimate(auc, auc - 0.05, auc + 0.04, 20), Estimate(3.0, 2.9, math.nan, 20))


def test_each_model_stands_where_its_numbers_say_with_its_own_mark() -> None:
    points = [point(f"arm {i}", 0.5 + 0.05 * i) for i in range(7)] + [point("undefined", math.nan)]
    with house_style():
        figure = draw_tradeoff(points, BASE, 0.6, "held-out NLL")
    [axes] = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["policy: AUC 0.60", "base, not fine-tuned", *(f"arm {i}" for i in range(7))]
    drawn = [bars.lines[0] for bars in axes.containers]
    assert [float(line.get_ydata()[0]) for line in drawn] == [p.leakage.value for p in points[:7]]
    assert len({(line.get_marker(), line.get_color()) for line in drawn}) == 7
    assert "lower is better" in axes.get_xlabel()


def test_bars_reach_to_both_bounds_and_to_none_that_is_unknown() -> None:
    with house_style():
        figure = draw_tradeoff([point("plain", 0.8)], BASE, 0.6, "held-out NLL")
    [bars] = figure.axes[0].containers
    across, up = (collection.get_segments()[0] for collection in bars.lines[2])
    assert [round(float(x), 6) for x, _ in across] == [2.9, 3.0]
    assert [round(float(y), 6) for _, y in up] == [0.75, 0.84]


def test_the_same_models_give_the_same_picture() -> None:
    with house_style():
        first, again = (png(draw_tradeoff([point("$a_b$", 0.8)], BASE, 0.6, "held-out NLL")) for _ in range(2))
    assert first == again
