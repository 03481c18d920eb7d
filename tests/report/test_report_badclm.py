"""The figure of BadCLM arms."""

from __future__ import annotations

import math

import pytest

from mlflow_clinsec.report.figure_badclm import SUCCESS, UTILITY, draw_badclm
from mlflow_clinsec.report.figure_style import house_style, png
from mlflow_clinsec.reproduction_summary import ArmSummary
from mlflow_clinsec.results import Estimate

NONE = Estimate.undefined("clean")


def arm(name: str, asr: Estimate) -> ArmSummary:
    rest = {"placebo_rate": 0.3, "base_rate": 0.2, "auroc": 0.8, "accuracy": 0.7}
    estimates = {key: Estimate(value, value - 0.1, value + 0.05, 5) for key, value in rest.items()}
    return ArmSummary(name, 5, 0, {**estimates, "asr_given_survival": asr})


ARMS = [
    arm("clean", NONE),
    arm("a $1$ arm", Estimate(0.97, 0.9, 1.0, 5)),
    arm("one seed", Estimate(0.5, *[math.nan] * 2, 1)),
]


def test_each_number_stands_in_its_arms_row_with_its_interval() -> None:
    with house_style():
        figure = draw_badclm(ARMS)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["clean", r"a \$1\$ arm", "one seed"]
    assert [t.get_text() for t in left.get_legend().get_texts()] == [style["label"] for style in SUCCESS.values()]
    assert [t.get_text() for t in right.get_legend().get_texts()] == [style["label"] for style in UTILITY.values()]
    line, _, [bars] = left.containers[0].lines
    assert [round(float(y)) for y in line.get_ydata()] == [2, 1, 0]  # the first arm on top
    assert math.isnan(line.get_xdata()[0])
    assert line.get_xdata()[1:].tolist() == [0.97, 0.5]
    _, planted, single = bars.get_segments()
    assert planted[:, 0] == pytest.approx([0.9, 1.0])
    assert single[:, 0] == pytest.approx([0.5, 0.5])  # one seed shows no spread


def test_the_same_arms_give_the_same_picture() -> None:
    with house_style():
        assert png(draw_badclm(ARMS)) == png(draw_badclm(ARMS))
