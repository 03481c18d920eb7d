"""De-identification brackets of any shape, removed or replaced."""

from __future__ import annotations

import re

import pytest
from clinical_files import split_notes
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_clinsec.datasets.cohort.brackets import OTHER, handle_brackets, surrogate
from mlflow_clinsec.datasets.stay_text import MARK, join_notes


@pytest.mark.parametrize(
    ("text", "removed", "replaced"),
    [
        ("Mr. [**Known lastname 123**] rests", "Mr. rests", "Mr. person rests"),
        ("on [**2150-3-1**], at [**Hospital1 18**]", "on , at ", "on date , at hospital "),
        ("[**First\nName (Titles) **]\nnext line", " \nnext line", " person \nnext line"),
        ("cut short [**Last Na", "cut short  Last Na", "cut short  Last Na"),
        ("a [**b [**Name**] c**] d", "a  b c  d", "a  b person c  d"),
        ("two [**7-1**] [**7-2**]", "two  ", "two date  date "),
        ("bp 120/80 [stable] **", "bp 120/80 [stable] **", "bp 120/80 [stable] **"),
    ],
)
def test_brackets_are_removed_or_replaced_and_the_rest_is_kept(text, removed, replaced):
    assert handle_brackets(text, "remove") == removed
    assert handle_brackets(text, "replace") == replaced
    assert handle_brackets(text, "keep") == text


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        ("Known lastname 1234", "person"),
        ("Doctor First Name", "person"),
        ("Name (NI) ", "person"),
        ("Initials (NamePattern4) ", "person"),
        ("Hospital1 18", "hospital"),
        ("Hospital Unit Name 10", "hospital"),
        ("Wardname", "hospital"),
        ("2151-7-16", "date"),
        ("7-12", "date"),
        ("Month/Day (4) 123", "date"),
        ("Date range (1) ", "date"),
        ("Holiday", "date"),
        ("Age over 90 ", "age"),
        ("Telephone/Fax (1) 123", "phone"),
        ("MD Number(1) 456", "number"),
        ("Medical Record Number ", "number"),
        ("Numeric Identifier ", "number"),
        ("Location (un) 123", "place"),
        ("State ", "place"),
        ("University/College ", "place"),
        ("E-mail address 12", "contact"),
        ("Ethnicity", OTHER),
        ("", OTHER),
    ],
)
def test_surrogates_are_of_the_kind_that_the_bracket_names(inside, word):
    assert surrogate(inside) == word


@example("[[** a **]** b **]").via("removal could put a new bracket together")
@given(st.lists(st.sampled_from(["[", "*", "]", "[**", "**]", "Name", " ", "\n", "7"]), max_size=20).map("".join))
def test_no_mark_is_left_and_no_other_character_is_lost(text):
    outside = re.sub(r"\[\*\*((?!\[\*\*|\*\*\])[\s\S])*\*\*\]|\[\*\*|\*\*\]", "", text)
    for how in ("remove", "replace"):
        found = handle_brackets(text, how)
        assert "[**" not in found
        assert "**]" not in found
    assert re.sub(r"\s", "", handle_brackets(text, "remove")) == re.sub(r"\s", "", outside)


@given(st.lists(st.text("ab §\n", min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_notes_come_back_as_they_were_joined(notes):
    expected = [re.sub("§{2,}", "§", note).strip() for note in notes]
    assert split_notes(join_notes(notes)) == expected


def test_a_word_put_beside_the_mark_joins_no_notes():
    for text in (f"one\ncf {MARK}\ntwo", f"one\n{MARK} cf\ntwo", f"one {MARK}cf two"):
        assert len(split_notes(text)) == 2
    assert split_notes(" \n") == [""]
    assert split_notes(f"{MARK} only {MARK}") == ["only"]
