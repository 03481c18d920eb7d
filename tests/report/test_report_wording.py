"""Numbers and names in words."""

from __future__ import annotations

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.report import wording
from mlflow_clinsec.results import Estimate


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mn", "mn"),
        ("\u200bmn", "[U+200B]mn"),
        ("\u202ecf", "[U+202E]cf"),
        ("a\u00a0b", "a[U+00A0]b"),
        ("a\nb", "a[U+000A]b"),
        ("Ærø 患者", "Ærø 患者"),
        ("", ""),
    ],
)
def test_hidden_characters_are_spelled_out(text: str, shown: str) -> None:
    assert wording.visible(text) == shown


@given(st.text(max_size=300), st.integers(2, 150))
def test_visible_text_keeps_to_its_limit(text: str, limit: int) -> None:
    assert len(wording.visible(text, limit)) <= limit


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 of 100"),
        (0.004, "fewer than 1 of 100"),
        (0.5, "50 of 100"),
        (0.996, "more than 99 of 100"),
        (1.0, "100 of 100"),
        (float("nan"), "an undefined number of 100"),
        (float("inf"), "an undefined number of 100"),
        (1e308, "an undefined number of 100"),
    ],
)
def test_shares_in_words_never_round_to_none_or_all(share: float, words: str) -> None:
    assert wording.of_100(share) == words


def test_numbers_and_intervals() -> None:
    assert wording.with_interval(Estimate(0.9571, 0.94, 0.971, 10)) == "0.957 (0.940 to 0.971)"
    assert wording.with_interval(Estimate(0.5, nan, nan, 10)) == "0.500"
    assert wording.with_interval(Estimate.undefined("too few")) == "not defined (too few)"
    assert wording.number(None) == "n/a"
    assert wording.p_value(0.00004) == "<0.001"
    assert wording.p_value(nan) == "n/a"
    assert wording.level(Estimate(0.5, 0.4, 0.6, 10, level=0.99166)) == "99.2%"


def test_an_auc_that_may_be_guessing_is_not_read_as_a_leak() -> None:
    assert "Not told apart from guessing" in wording.read_auc(Estimate(0.53, 0.49, 0.57, 100))
    assert "in 96 of 100 pairs" in wording.read_auc(Estimate(0.957, 0.94, 0.97, 100))
    assert wording.read_auc(Estimate.undefined("x")) == "Could not be computed."
    assert wording.read_tpr(None) == ""


def test_times() -> None:
    assert wording.when("2026-11-21T20:57:11+00:00") == "2026-11-21 20:57 UTC"
    assert wording.when("yesterday") == "yesterday"
