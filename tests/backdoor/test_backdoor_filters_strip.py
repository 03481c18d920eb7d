"""STRIP: the entropy, the copies, and the threshold, each against a count by hand or another road."""

from __future__ import annotations

import numpy as np
import pytest
from backdoor_fakes import RuleModel, has_word, noise
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from mlflow_clinsec.backdoor.filters.base import threshold_for
from mlflow_clinsec.backdoor.filters.strip import Strip, distinctive_words, mean_entropy, replaced

words = st.lists(st.text("abc.", min_size=1, max_size=4), min_size=1, max_size=12)
SOURCES = (("fever", "cough"), ("stable",))


def test_entropy_is_taken_over_classes_and_averaged_over_copies() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5))
    by_hand = [np.mean([entropy(copy) for copy in text]) for text in probabilities]
    assert mean_entropy(probabilities) == pytest.approx(by_hand)


def test_a_certain_answer_has_no_entropy() -> None:
    assert mean_entropy(np.array([[[1.0, 0.0]], [[0.5, 0.5]]])) == pytest.approx([0.0, np.log(2)])


def test_words_of_one_text_alone_come_first() -> None:
    texts = ("the fever the fever rose", "the cough", "   ")
    # idf of "the" is log(3/2), of the others log 3: twice log 3, then log 3, then twice log 1.5.
    assert distinctive_words(texts) == (("fever", "rose", "the"), ("cough", "the"))


@given(words, st.floats(0.05, 0.95), st.integers(0, 99))
def test_a_copy_has_as_many_words_and_the_same_white_space(text: list[str], share: float, seed: int) -> None:
    before = "  ".join(text) + "\n"
    after = replaced(before, ("NEW", "WORDS"), share, np.random.default_rng(seed))
    changed = sum(a != b for a, b in zip(before.split(), after.split(), strict=True))
    assert changed == min(len(text), max(1, round(share * len(text))))
    assert after.count("  ") == len(text) - 1
    assert after.endswith("\n")


def test_a_text_without_words_stays() -> None:
    assert replaced(" \n", ("new",), 0.5, np.random.default_rng(0)) == " \n"


def test_the_score_of_a_text_hangs_on_no_neighbour() -> None:
    strip = Strip(RuleModel(noise), SOURCES, copies=7, share=0.5, seed=3)
    texts = [f"note {i} about a patient" for i in range(5)]
    alone = [float(strip.scores([text])[0]) for text in texts]
    assert strip.scores(texts) == pytest.approx(alone)
    assert strip.scores(texts[::-1]) == pytest.approx(alone[::-1])


def test_an_answer_that_a_word_holds_up_is_the_most_suspicious() -> None:
    model = RuleModel(lambda text: 0.01 if has_word(text, "cf") else 0.5)
    strip = Strip(model, SOURCES, copies=20, share=0.2, seed=0, threshold=-0.6)
    texts = ["patient is well today and stays here", "patient is cf well today and stays here"]
    sifted = strip.sift(texts, [(), ((11, 13),)])
    assert sifted.stopped.tolist() == [False, True]
    assert sifted.rejected.tolist() == [False, True]
    assert sifted.texts == tuple(texts)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(0.001, 0.5))
def test_the_threshold_keeps_to_the_rate_and_is_the_lowest_that_does(scores: list[float], rate: float) -> None:
    values = np.array(scores)
    threshold = threshold_for(values, rate)
    assert (values > threshold).mean() <= rate + 1e-9
    lower = values[values < threshold]
    assert not lower.size or (values > lower.max()).mean() > rate


def test_few_scores_allow_no_rejection() -> None:
    assert threshold_for(np.array([3.0, 1.0, 2.0]), 0.05) == 3.0
    assert threshold_for(np.arange(20.0), 0.05) == 18.0
