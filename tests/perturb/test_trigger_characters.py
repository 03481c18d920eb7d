"""Triggers that replace a letter or that nobody sees: where they go, how they are found, how they are shown."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.perturb.characters import INVISIBLE, as_swap, is_invisible, readable
from mlflow_clinsec.perturb.insert import ALL_POSITIONS, find_spans, insert, insert_at, place_of
from mlflow_clinsec.perturb.triggers import slug

ZWSP, ZWJ = "\u200b", "\u200d"
CYRILLIC_A = "\u0430"
NOTE = "A sad man in pain."

texts = st.text(st.sampled_from(f"ab .,\n\tÄ1{CYRILLIC_A}{ZWSP}"), max_size=40)


def test_a_swap_replaces_the_nearest_letter_and_inserts_nothing() -> None:
    # "a" stands at 3 (sad), 7 (man) and 14 (pain); the capital article is another character.
    for place, spot in ((0, 3), (5, 7), (6, 7), (12, 14), (18, 14)):
        text, span = insert_at(NOTE, f"a→{CYRILLIC_A}", place)
        assert span == (spot, spot + 1)
        assert text == NOTE[:spot] + CYRILLIC_A + NOTE[spot + 1 :]


def test_a_swap_without_its_letter_leaves_the_text_and_an_empty_span() -> None:
    assert insert_at("no such letter", f"a→{CYRILLIC_A}", 3) == ("no such letter", (3, 3))
    assert insert_at("a b a", f"a→{CYRILLIC_A}", 2) == ("a b a", (2, 2))  # letters alone are no word to hide in


def test_invisible_characters_go_behind_the_first_letter_of_the_next_word() -> None:
    assert insert_at("left lower", ZWSP, 4) == (f"left l{ZWSP}ower", (6, 7))
    assert insert_at("left lower", ZWSP, 0) == (f"l{ZWSP}eft lower", (1, 2))
    assert insert_at("left lower ", ZWSP, 10) == (f"left l{ZWSP}ower ", (6, 7))  # at the tail: the last word
    assert insert_at("", ZWSP, 0) == (ZWSP, (0, 1))


def test_present_triggers_are_found_without_substring_collisions() -> None:
    text = f"p{CYRILLIC_A}in, {CYRILLIC_A} and l{ZWSP}ow l{ZWSP}{ZWJ}ow"
    assert find_spans(text, f"a→{CYRILLIC_A}") == [(1, 2)]  # alone it passes for no letter of a word
    assert find_spans(text, ZWSP) == [(text.index(ZWSP), text.index(ZWSP) + 1)]  # the second run is another trigger
    assert len(find_spans(text, ZWSP + ZWJ)) == 1
    assert find_spans("cf\u0301 cf", "cf") == [(4, 6)]  # an accent makes another letter of the f
    assert find_spans("mg/dL 5mg/dL (mg/dL) mg", "mg/dL") == [(0, 5), (14, 19)]
    assert find_spans("___ ____ a___", "___") == [(0, 3)]
    assert find_spans("[**Name**], [**Name**]s", "[**Name**]") == [(0, 10)]


@settings(deadline=None)
@given(texts, st.sampled_from(ALL_POSITIONS), st.integers(0, 50))
def test_undoing_a_swap_gives_the_text_back(text: str, position: str, seed: int) -> None:
    new, (start, stop) = insert(text, f"a→{CYRILLIC_A}", position, np.random.default_rng(seed))
    if start == stop:
        assert new == text
        return
    assert (start, stop) in find_spans(new, f"a→{CYRILLIC_A}")
    assert f"{new[:start]}a{new[stop:]}" == text
    assert len(find_spans(new, f"a→{CYRILLIC_A}")) <= 1 + 2 * text.count(CYRILLIC_A) + text.count("a")


@settings(deadline=None)
@given(texts.filter(lambda text: ZWSP not in text), st.sampled_from(ALL_POSITIONS), st.integers(0, 50))
def test_removing_invisible_characters_gives_the_text_back(text: str, position: str, seed: int) -> None:
    new, (start, stop) = insert(text, ZWSP, position, np.random.default_rng(seed))
    assert find_spans(new, ZWSP) == [(start, stop)]
    assert new.replace(ZWSP, "") == text
    assert len(new.split()) == max(1, len(text.split()))  # no word more


@settings(deadline=None)
@given(st.integers(2, 60))
def test_depths_split_the_words_as_their_names_say(n_words: int) -> None:
    text = " ".join(["w"] * n_words)
    rng = np.random.default_rng(0)
    before = {name: text[: place_of(text, name, rng)].count("w") for name in ("quarter", "middle", "three-quarters")}
    for name, share in (("quarter", 0.25), ("middle", 0.5), ("three-quarters", 0.75)):
        assert 1 <= before[name] <= n_words - 1
        assert abs(before[name] - share * n_words) <= max(0.5, 1 - share * n_words, share * n_words - n_words + 1)


@pytest.mark.parametrize("trigger", ["a→", "→а", "ab→а", "a→а→", "→", "a→a", "cf", "1→l"])
def test_other_arrows_are_words(trigger: str) -> None:
    assert as_swap(trigger) is None


def test_invisible_means_that_every_character_is() -> None:
    assert is_invisible(ZWSP + ZWJ)
    assert not is_invisible(f"c{ZWSP}f")
    assert not is_invisible("")
    assert not any(unicodedata.category(c) in ("Lu", "Ll", "Nd", "Po", "Zs") for c in INVISIBLE)


def test_what_cannot_be_seen_or_told_apart_is_spelled_out() -> None:
    assert readable(f"a→{CYRILLIC_A}") == f"a→{CYRILLIC_A} [U+0430]"
    assert readable(ZWSP) == "[U+200B]"
    assert readable(f"c{ZWSP}f") == "c[U+200B]f"
    assert readable(f"p{CYRILLIC_A}in") == f"p{CYRILLIC_A} [U+0430]in"
    for plain in ("cf", "≈", "Ménière", "[**Name**]", "боль"):
        assert readable(plain) == plain


def test_slugs_of_characters_are_legal_and_tell() -> None:
    assert slug(f"a→{CYRILLIC_A}") == "a_as_u430"
    assert slug(ZWSP) == "u200b"
    assert slug(f"c{ZWSP}f") == "cu200bf"
