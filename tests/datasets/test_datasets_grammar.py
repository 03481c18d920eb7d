from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets.grammar import capitalize_sentences, draw, expand, join_words, pick

WORD = st.text(st.characters(codec="ascii", exclude_characters="<|>{}", min_codepoint=32), max_size=8)


def test_every_sentence_of_a_nested_template_is_drawn_and_no_other():
    rng = np.random.default_rng(0)
    drawn = {expand("<a|b <c|d>>{slot}<|!>", {"slot": " x"}, rng) for _ in range(400)}
    # By hand: the outer choice gives "a", "b c" or "b d"; then the fact; then nothing or "!".
    assert drawn == {f"{head} x{tail}" for head, tail in product(("a", "b c", "b d"), ("", "!"))}


def test_branches_are_equally_likely():
    rng = np.random.default_rng(1)
    share = np.mean([expand("<a|b|c|d>", {}, rng) == "a" for _ in range(8000)])
    assert share == pytest.approx(0.25, abs=0.02)  # four standard errors


def test_facts_are_not_read_as_templates():
    assert expand("{fact}", {"fact": "<a|b>{c}"}, np.random.default_rng(0)) == "<a|b>{c}"


def test_outside_a_choice_the_signs_stand_for_themselves():
    assert expand("a | b -> c", {}, np.random.default_rng(0)) == "a | b -> c"


@given(st.lists(WORD, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_choice_gives_one_of_its_branches(words: list[str], seed: int):
    assert expand(f"<{'|'.join(words)}>", {}, np.random.default_rng(seed)) in words


def test_a_missing_fact_and_an_open_choice_are_errors():
    rng = np.random.default_rng(0)
    with pytest.raises(KeyError, match="age"):
        expand("{age}", {}, rng)
    with pytest.raises(ValueError, match="unclosed"):
        expand("<a|b", {}, rng)


def test_draw_gives_different_positions_and_stops_at_the_end():
    rng = np.random.default_rng(0)
    assert sorted(draw(rng, "abc", 9)) == ["a", "b", "c"]
    assert len(set(draw(rng, "abcdef", 4))) == 4
    assert {pick(rng, "ab") for _ in range(50)} == {"a", "b"}


@pytest.mark.parametrize(
    ("words", "expected"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_join_words(words: tuple[str, ...], expected: str):
    assert join_words(words) == expected


def test_sentences_get_capitals_but_abbreviations_do_not():
    assert capitalize_sentences("on RA. stable at 95%. has E. coli") == "On RA. Stable at 95%. Has E. coli"
