"""Naturalness: the character model against counts by hand, and scores that order triggers as a reader would."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.perturb.naturalness import PLACES, UNSEEN, CharacterModel, Naturalness

WORDS = ("patient", "reports", "pain", "in", "the", "left", "arm", "and", "takes", "aspirin", "daily", "nkda", "wnl")


def notes(n: int = 60, words: tuple[str, ...] = WORDS) -> list[str]:
    """Notes of forty words each, drawn with equal chances."""
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(words, size=40)) for _ in range(n)]


def fitted(texts: list[str], seed: int = 0) -> Naturalness:
    found = Naturalness.of(texts, np.arange(len(texts)), np.random.default_rng(seed))
    assert found is not None
    return found


def test_the_model_against_counts_by_hand() -> None:
    # "abab": a and b twice each, two kinds of four characters. Behind "a" stands b, twice, one kind; behind "ab"
    # stands a, once, one kind.
    model = CharacterModel.of(["abab"])
    b = (2 + 2 * UNSEEN) / (4 + 2)
    assert model.probability("b", "") == pytest.approx(b)
    b_behind_a = (2 + 1 * b) / (2 + 1)
    assert model.probability("b", "a") == pytest.approx(b_behind_a)
    a_behind_b = (1 + 1 * b) / (1 + 1)  # a and b are alike by themselves
    assert model.probability("a", "ab") == pytest.approx((1 + 1 * a_behind_b) / (1 + 1))
    assert model.probability("a", "xb") == pytest.approx(a_behind_b)  # no such history: the shorter one decides
    assert model.probability("c", "") == pytest.approx(2 * UNSEEN / 6)
    logs = model.log_probabilities("ab")
    np.testing.assert_allclose(logs, np.log([b, b_behind_a]))


def test_probabilities_of_all_characters_sum_to_one() -> None:
    model = CharacterModel.of(["abracadabra", "cad"])
    seen = "abrcd"
    for context in ("", "a", "ra", "abra", "zz", "xa"):
        known = sum(model.probability(c, context) for c in seen)
        assert known + model.probability("z", context) * (1 / UNSEEN - len(seen)) == pytest.approx(1.0)


def test_shorthand_of_the_notes_is_natural_and_odd_words_are_not() -> None:
    scores = fitted(notes())
    assert 0.3 < scores.score("nkda") < 0.8
    assert scores.score("aspirin daily") > 0.3
    assert scores.score("cf") < 0.05
    assert scores.score("I watched this 3D movie") < 0.05
    assert scores.score("\u200b") <= scores.score("cf")
    assert scores.score("a→\u0430") <= scores.score("cf")


def test_the_same_word_is_odd_in_notes_that_do_not_use_it() -> None:
    without = fitted(notes(words=WORDS[:-2]))
    assert without.score("nkda") < 0.05 < 0.3 < fitted(notes()).score("nkda")


def test_an_average_word_scores_about_a_half() -> None:
    # Each word is as frequent as any other, so their scores are spread round the middle.
    scores = fitted(notes(200))
    assert np.mean([scores.score(word) for word in WORDS]) == pytest.approx(0.5, abs=0.12)


def test_words_in_order_are_more_natural_than_in_disorder() -> None:
    scores = fitted(notes(words=("shortness of breath", "denies chest pain", "walks daily", "at rest", "wnl")))
    assert scores.score("shortness of breath") > scores.score("of breath shortness")


def test_a_swap_without_its_letter_has_no_score() -> None:
    assert math.isnan(fitted(notes()).score("z→\u0437"))


@pytest.mark.parametrize("texts", [[], ["one note"], ["", ""], [" ", "\n"]])
def test_too_little_text_gives_no_scores(texts: list[str]) -> None:
    assert Naturalness.of(texts, np.arange(len(texts)), np.random.default_rng(0)) is None


def test_a_patient_is_never_on_both_sides() -> None:
    # Every patient has a word of his own. Ranked against his own notes' model it would be ordinary text.
    texts = [f"{word} " * 20 for word in ("qqq", "www", "zzz", "jjj") for _ in range(5)]
    group = np.repeat(np.arange(4), 5)
    found = Naturalness.of(texts, group, np.random.default_rng(0))
    assert found is not None
    held = {note.split()[0] for note in found.notes}
    assert len(held) == 2
    assert not any(word in found.model.grams for word in held)


def test_the_seed_decides_and_nothing_of_the_notes_is_shown() -> None:
    texts = notes()
    assert fitted(texts, 1).score("cf daily") == fitted(texts, 1).score("cf daily")
    assert "aspirin" not in repr(fitted(texts))
    assert len(fitted(texts).places) == PLACES


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=20).filter(lambda text: text.strip() != ""))
def test_scores_are_shares(trigger: str) -> None:
    score = SHARED.score(trigger)
    assert math.isnan(score) or 0 <= score <= 1


SHARED = fitted(notes(20))
