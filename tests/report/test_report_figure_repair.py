"""The figure of repairs: which points are drawn, and that they stand where their numbers are."""

from __future__ import annotations

import pytest

from mlflow_clinsec.report.figure_repair import RepairPoint, draw_repairs
from mlflow_clinsec.results import Estimate


def point(name: str, excess: float, auroc: float) -> RepairPoint:
    return RepairPoint(name, Estimate(excess, excess - 0.1, excess + 0.05, 50), Estimate(auroc, auroc, auroc, 50))


def test_each_model_with_both_numbers_is_a_point_at_its_values() -> None:
    undefined = RepairPoint("skipped", Estimate.undefined("needs layers"), Estimate(0.8, 0.7, 0.9, 50))
    figure = draw_repairs([point("suspect", 0.7, 0.83), undefined, point("fine-tuned", 0.2, 0.81)], 0.10)
    [axes] = figure.axes
    points = {bars.get_label(): bars.lines[0].get_xydata()[0].tolist() for bars in axes.containers}
    assert points == {"suspect": [0.83, 0.7], "fine-tuned": [0.81, 0.2]}
    reach = axes.containers[0].lines[2][1].get_segments()[0][:, 1].tolist()
    assert reach == pytest.approx([0.6, 0.75])
    assert "policy: excess 0.10" in [text.get_text() for text in axes.get_legend().get_texts()]
