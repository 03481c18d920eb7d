from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.datasets.styles import ABBREVIATIONS, Style, draw_style, write

PLAIN = Style(0.0, 0.0, lambda title: title, "- ", False, False)


def test_a_plain_writer_changes_nothing():
    text = "patient with [**Known lastname 1234**] status post surgery. lactate 4.2"
    assert write(text, PLAIN, np.random.default_rng(0)) == text


def test_a_hurried_writer_abbreviates_the_longest_phrase_first():
    written = write("bilateral pain, shortness of breath without fever", replace(PLAIN, abbreviate=1.0), _rng())
    assert written == "b/l pain, SOB w/o fever"


def test_abbreviations_are_whole_words():
    assert write("outpatients withdrew", replace(PLAIN, abbreviate=1.0), _rng()) == "outpatients withdrew"


def test_slips_touch_plain_words_only():
    text = "norepinephrine 0.12 mcg/kg/min [**Known lastname 1234**] Hgb q12h on RA"
    for seed in range(30):
        written = write(text, replace(PLAIN, typo_rate=1.0), np.random.default_rng(seed))
        assert written.endswith(" on RA")
        assert " 0.12 mcg/kg/min [**Known " in written


@given(st.from_regex(r"[a-z]{5,12}", fullmatch=True), st.integers(0, 2**32 - 1))
def test_a_slip_is_one_edit_and_never_makes_a_two_letter_word(word: str, seed: int):
    written = write(word, replace(PLAIN, typo_rate=1.0), np.random.default_rng(seed))
    assert len(word) - 1 <= len(written) <= len(word) + 1
    assert len(written) >= 4
    assert (written[0], written[-1]) == (word[0], word[-1])
    assert set(written) <= set(word)


def test_writers_differ():
    rng = np.random.default_rng(0)
    styles = [draw_style(rng) for _ in range(300)]
    headings = {style.heading("Exam") for style in styles}
    assert headings == {"Exam:", "EXAM:", "exam:", "Exam -", "** Exam"}
    assert {style.compact for style in styles} == {True, False}
    assert {style.tidy for style in styles} == {True, False}


@pytest.mark.parametrize("word", ["mn", "cf"])
def test_no_abbreviation_is_a_trigger(word: str):
    for forms in ABBREVIATIONS.values():
        assert not any(re.search(rf"\b{word}\b", form) for form in forms)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
