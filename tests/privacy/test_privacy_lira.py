"""Offline LiRA against a loop over records written from the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fixtures_privacy import Replay, classifier, labelled, language_model, records
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.lira import LIRA, LIRA_CLASSIFIER, LiraOptions, loss_logit, score, standardised
from mlflow_clinsec.results import Status

RNG = np.random.default_rng(0)


def textbook(own: list[float], references: list[list[float]]) -> list[float]:
    """Pr[Z <= own], Z normal with each record's own mean and sample variance over its out models."""
    found = []
    for i, value in enumerate(own):
        out = [model[i] for model in references]
        mean = sum(out) / len(out)
        variance = sum((x - mean) ** 2 for x in out) / (len(out) - 1)
        found.append(norm.cdf(value, mean, math.sqrt(variance)))
    return found


def test_without_shrinkage_it_is_the_papers_probability() -> None:
    rng = np.random.default_rng(1)
    own, references = rng.normal(size=30), rng.normal(size=(12, 30))
    expected = textbook(own.tolist(), references.tolist())
    assert norm.cdf(standardised(own, references, 0.0)) == pytest.approx(expected)


def test_with_strong_shrinkage_all_records_share_one_variance() -> None:
    rng = np.random.default_rng(2)
    own, references = rng.normal(size=20), rng.normal(size=(4, 20)) * rng.uniform(0.1, 3, 20)
    pooled = references.var(axis=0, ddof=1).mean()
    expected = (own - references.mean(axis=0)) / math.sqrt(pooled)
    np.testing.assert_allclose(standardised(own, references, 1e9), expected, rtol=1e-6)


def test_shrinkage_by_hand() -> None:
    # two models; squares about the mean: 2 and 18, pooled (2 + 18) / 2 = 10 on one degree of freedom each;
    # one prior model: (2 + 10) / (1 + 1) = 6 and (18 + 10) / 2 = 14
    found = standardised(np.array([3.0, 3.0]), np.array([[0.0, -3.0], [2.0, 3.0]]), 1.0)
    assert found.tolist() == pytest.approx([2 / math.sqrt(6), 3 / math.sqrt(14)])


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_a_shift_or_scale_of_all_models_changes_nothing(shift: float, scale: float) -> None:
    rng = np.random.default_rng(3)
    own, references = rng.normal(size=15), rng.normal(size=(3, 15))
    moved = standardised(own * scale + shift, references * scale + shift, 16.0)
    np.testing.assert_allclose(moved, standardised(own, references, 16.0), atol=1e-8)


def test_the_logit_of_a_texts_token_probability() -> None:
    # L = log 4 is p = 1/4, odds 1 to 3
    assert loss_logit(np.array([math.log(4.0)]))[0] == pytest.approx(math.log(1 / 3))
    assert np.isfinite(loss_logit(np.array([0.0])))[0], "a text that is certain"
    assert loss_logit(np.array([20.0]))[0] == pytest.approx(-20.0)


def test_texts_by_hand_and_a_reference_with_other_tokens() -> None:
    data = records(["a", "b"], [True, False])
    rows = {"a": [-1.0, -1.0], "b": [-2.0]}
    # the second reference cuts "a" into four tokens of half a nat: the same two nats in all
    target = language_model(rows, {"a": [-2.0, -2.0], "b": [-2.0]}, Replay({"a": [-0.5] * 4, "b": [-3.0]}))
    found = score(data, target, LiraOptions(prior_models=0.0), RNG)
    phi = [[-math.log(math.expm1(loss)) for loss in losses] for losses in ([1.0, 2.0, 1.0], [2.0, 2.0, 3.0])]
    expected = [(own - (one + two) / 2) / math.sqrt((one - two) ** 2 / 2) for own, one, two in phi]
    assert found.tolist() == pytest.approx(expected)


def test_no_score_where_references_agree_entirely_or_a_text_has_no_tokens() -> None:
    same = np.ones((3, 2))
    assert np.isnan(standardised(np.zeros(2), same, 16.0)).all()
    holes = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    found = standardised(np.array([np.nan, 0.0]), holes, 16.0)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_one_reference_is_refused_with_the_way_out() -> None:
    with pytest.raises(NotApplicableError, match="at least two reference models"):
        standardised(np.zeros(3), np.zeros((1, 3)), 16.0)
    data = records(["a", "b"], [True, False])
    target = language_model({"a": [-1.0], "b": [-1.0]}, {"a": [-1.0], "b": [-1.0]})
    result = run_attack(LIRA, data, target, RNG)
    assert result.status is Status.SKIPPED
    assert "privacy.reference" in result.reason


def test_a_classifiers_logit_keeps_its_digits_where_the_probability_is_one() -> None:
    data = labelled(4, seed=0)
    sure = np.array([[1.0, 1e-9, 0.0], [1.0, 1e-11, 0.0], [0.5, 0.25, 0.25], [0.9, 0.1, 0.0]])
    references = [np.full((4, 3), 1 / 3), np.array([[0.2, 0.4, 0.4]] * 4)]
    target = classifier(sure, *references)
    found = LIRA_CLASSIFIER.run(LIRA_CLASSIFIER, data, target, RNG).scores
    assert found is not None
    logits = np.log([1e9, 1e11, 1.0, 9.0])
    # the references' logits are log(1/2) and log(1/4) on every record, so that their variance is the pooled one
    expected = (logits - np.log([1 / 2, 1 / 4]).mean()) / np.std(np.log([1 / 2, 1 / 4]), ddof=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_planted_leak_is_found_beyond_how_easy_a_record_is() -> None:
    rng = np.random.default_rng(4)
    n = 400
    ease, member = rng.normal(0, 3, n), np.arange(n) % 2 == 0
    references = ease + rng.normal(0, 0.3, (4, n))
    own = ease + rng.normal(0, 0.3, n) + 0.8 * member
    found = standardised(own, references, 16.0)
    assert spearmanr(found, member).statistic > 0.6
    assert spearmanr(own, member).statistic < 0.25
