"""WCAG 2.2 AA contrast of every pair of colours that the card and figures use."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mlflow_clinsec.report import palette
from mlflow_clinsec.report.figure_style import LINES


def test_contrast_against_known_values() -> None:
    assert palette.contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert palette.contrast("#FFFFFF", "#FFFFFF") == pytest.approx(1.0)
    assert palette.contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)  # W3C's least grey for AA


@pytest.mark.parametrize(("text", "ground"), palette.TEXT_PAIRS)
def test_text_pairs_reach_4_5(text: str, ground: str) -> None:
    assert palette.contrast(palette.CARD[text], palette.CARD[ground]) >= 4.5


@pytest.mark.parametrize(("line", "ground"), palette.LINE_PAIRS)
def test_line_pairs_reach_3(line: str, ground: str) -> None:
    assert palette.contrast(palette.CARD[line], palette.CARD[ground]) >= 3


@pytest.mark.parametrize("colour", [style["color"] for style in LINES] + [palette.GREY])
def test_curves_reach_3_on_white(colour: str) -> None:
    assert palette.contrast(colour, "#FFFFFF") >= 3


def test_curves_differ_without_colour() -> None:
    assert len({(str(style["linestyle"]), style["marker"]) for style in LINES}) == len(LINES)


def test_the_style_sheet_takes_every_colour_from_the_palette() -> None:
    css = (files("mlflow_clinsec.report") / "templates" / "audit_card.css.j2").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9A-Fa-f]{3,8}\b|rgba?\(|hsl", css)
    assert set(re.findall(r"colour\.(\w+)", css)) <= set(palette.CARD)
