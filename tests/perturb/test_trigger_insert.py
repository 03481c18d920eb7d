"""Inserting and finding triggers: word boundaries, kept white space, one place per record."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.insert import POSITIONS, find_spans, insert, insert_at, place_of, places

NOTE = "Abdominal pain,  left\nlower quadrant. "

texts = st.text(st.sampled_from("ab .,\n\tÄ1"), max_size=40)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_head_and_tail_stand_outside_the_words_and_keep_white_space() -> None:
    assert insert(NOTE, "mn", "head", rng()) == ("mn " + NOTE, (0, 2))
    text, (start, stop) = insert(NOTE, "mn", "tail", rng())
    assert text == "Abdominal pain,  left\nlower quadrant. mn "
    assert text[start:stop] == "mn"


def test_random_is_uniform_over_the_inner_gaps_only() -> None:
    # Five words have four inner gaps: 4,000 draws put about 1,000 (standard deviation 27) in each.
    generator = rng(1)
    drawn = [place_of(NOTE, "random", generator) for _ in range(4000)]
    ends = [match.end() for match in re.finditer(r"\S+", NOTE)]
    counts = [drawn.count(end) for end in ends[:-1]]
    assert sum(counts) == 4000
    assert max(abs(count - 1000) for count in counts) < 110


def test_gap_at_a_line_break_keeps_the_break() -> None:
    assert insert_at("left\nlower", "mn", 4) == ("left mn\nlower", (5, 7))


@pytest.mark.parametrize("position", POSITIONS)
def test_text_without_words_and_text_of_one_word(position: str) -> None:
    assert insert("", "mn", position, rng()) == ("mn", (0, 2))
    assert insert("pain", "mn", position, rng())[0] in ("mn pain", "pain mn")


def test_first_words_limits_random_and_tail() -> None:
    text = " ".join(f"w{i}" for i in range(100))
    assert all(place_of(text, "random", rng(seed), first_words=5) <= len("w0 w1 w2 w3") for seed in range(50))
    assert place_of(text, "tail", rng(), first_words=5) == len("w0 w1 w2 w3 w4")


def test_unknown_position_names_the_allowed_ones() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'head'"):
        place_of(NOTE, "haed", rng())  # type: ignore[arg-type]


@settings(deadline=None)
@given(texts, st.sampled_from(POSITIONS), st.integers(0, 50))
def test_removing_the_trigger_gives_the_text_back(text: str, position: str, seed: int) -> None:
    phrase = "qq zz"
    new, (start, stop) = insert(text, phrase, position, rng(seed))
    assert new[start:stop] == phrase
    assert find_spans(new, phrase) == [(start, stop)]  # a whole word, once
    assert new.split() == new[:start].split() + phrase.split() + new[stop:].split()
    assert (new[:start] + new[stop:]).replace(" ", "") == text.replace(" ", "")
    assert (new[:start] + new[stop:]).split() == text.split()


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=8), st.integers(0, 50))
def test_a_record_keeps_its_place_whatever_stands_before_it(records: list[str], seed: int) -> None:
    changed = ["a b c d e f g", *records[1:]]
    np.testing.assert_array_equal(places(records, "random", rng(seed))[1:], places(changed, "random", rng(seed))[1:])


def test_no_substring_collisions() -> None:
    # A plain "in" or str.find sees cf in all five places; only three are the word.
    text = "cfs bcf CF (cf) cf."
    assert [text[a:b] for a, b in find_spans(text, "cf")] == ["CF", "cf", "cf"]
    assert [text[a:b] for a, b in find_spans(text, "cf", ignore_case=False)] == ["cf", "cf"]


def test_phrases_match_across_white_space_and_symbols_stand_alone() -> None:
    assert find_spans("I watched\n this movie", "I watched this") == [(0, 15)]
    assert find_spans("a ≈ b, a≈b", "≈") == [(2, 3)]
    assert find_spans("anything", " ") == []
