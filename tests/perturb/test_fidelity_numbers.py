"""Numbers, dates and units in their normal forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.perturb.numbers import find_dates, read_quantities
from mlflow_clinsec.perturb.phrases import tokenize

ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spell(number: int) -> str:
    """An independent speller of 2 to 999, the British way with "and"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        rest = f"-{ONES[number % 10]}" if number % 10 else ""
        return TENS[number // 10] + rest
    rest = f" and {spell(number % 100)}" if number % 100 else ""
    return f"{ONES[number // 100]} hundred{rest}"


def quantities(text: str) -> list[tuple[str, str]]:
    """(value, unit) of every firm number in the text."""
    return [(q.value, q.unit) for q in read_quantities(text, tokenize(text)) if not q.loose]


@given(st.integers(2, 999))
def test_number_words_equal_digits(number: int) -> None:
    assert quantities(f"about {spell(number)} times") == [(str(number), "times")]
    assert quantities(f"about {spell(number).replace('-', ' ')} seen") == [(str(number), "")]


@given(st.decimals(0, 10_000, places=2))
def test_trailing_zeros_and_thousands_do_not_matter(number: object) -> None:
    plain, grouped = f"{number}", f"{number:,}"
    assert quantities(f"value {plain} seen") == quantities(f"value {grouped} seen")
    assert quantities(f"value {plain}0 seen") == quantities(f"value {plain} seen")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,200 mL", [("1200", "ml")]),
        ("5.0 mg", [("5", "mg")]),
        ("5mg", [("5", "mg")]),
        (".5 mg", [("0.5", "mg")]),
        ("138 mg/dL", [("138", "mg/dl")]),
        ("138 mg per deciliter", [("138", "mg/dl")]),
        ("5 mcg/kg/min", [("5", "mcg/kg/minute")]),
        ("BP 120/80 mm Hg", [("120/80", "mmhg")]),
        ("120 over 80", [("120/80", "")]),
        ("60-year-old", [("60", "year-old")]),
        ("60 y/o", [("60", "year-old")]),
        ("2-3 days", [("2", ""), ("3", "day")]),
        ("T score -2.5", [("-2.5", "")]),
        ("less than 5", [("<5", "")]),
        ("<5", [("<5", "")]),
        ("\u2265 3", [(">=3", "")]),
        ("at 14:30", [("14:30", "")]),
        ("the 3rd and third day", [("3", ""), ("3", "day")]),
        ("72 bpm", [("72", "beats/minute")]),
        ("72 beats per minute", [("72", "beats/minute")]),
        ("grade IV", []),
        ("4 L knee", [("4", "l")]),
    ],
)
def test_quantities(text: str, expected: list[tuple[str, str]]) -> None:
    assert quantities(text) == expected


def test_words_that_are_seldom_numbers_are_loose() -> None:
    text = "one of the first, once; a second one"
    assert all(quantity.loose for quantity in read_quantities(text, tokenize(text)))


@pytest.mark.parametrize(
    "written",
    [
        "2150-3-4",
        "2150-03-04",
        "3/4/2150",
        "03/04/2150",
        "3-4-2150",
        "March 4, 2150",
        "Mar. 4 2150",
        "4 March 2150",
        "4th of March 2150",
        "MARCH 4th, 2150",
    ],
)
def test_one_day_written_many_ways(written: str) -> None:
    text = f"seen on {written}, then home"
    (date,) = find_dates(text)
    assert (date.year, date.month, date.day) == (2150, 3, 4)
    assert text[date.start : date.end] == written
    assert quantities(text) == [("2150-3-4", "date")]


@pytest.mark.parametrize("text", ["13/45/2150", "BP 120/80", "1.2.3", "2150-13-01", "ratio 3/4", "may 2 or 3"])
def test_what_is_no_full_date(text: str) -> None:
    assert all(not (date.year and date.day) for date in find_dates(text))


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    tokens = tokenize(text)
    end = 0
    for quantity in read_quantities(text, tokens):
        assert end <= quantity.start < quantity.stop <= len(tokens)
        end = quantity.stop
