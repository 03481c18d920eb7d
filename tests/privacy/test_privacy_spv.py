"""Paraphrase variation by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fixtures_privacy import Replay, language_model, records

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.privacy.spv import SPV, score, score_target
from mlflow_clinsec.results import Status

RNG = np.random.default_rng(0)
DATA = records(["a", "b"], [True, False], [["a1", "a2"], ["b1"]])
ROWS = {"a": [-1.0, -1.0], "b": [-2.0], "a1": [-2.0], "a2": [-3.0, -5.0], "b1": [-2.0]}
REFERENCE = {"a": [-1.5, -1.5], "b": [-2.0], "a1": [-2.0], "a2": [-4.0, -4.0], "b1": [-1.0]}


def p(*losses: float) -> float:
    """Mean of exp(-L)."""
    return sum(math.exp(-loss) for loss in losses) / len(losses)


def test_against_the_target_alone() -> None:
    found = score_target(DATA, language_model(ROWS), MembershipOptions(), RNG)
    assert found.tolist() == pytest.approx([p(1) - p(2, 4), p(2) - p(2)])


def test_beyond_the_reference() -> None:
    found = score(DATA, language_model(ROWS, REFERENCE), MembershipOptions(), RNG)
    assert found.tolist() == pytest.approx([(p(1) - p(2, 4)) - (p(1.5) - p(2, 4)), (p(2) - p(2)) - (p(2) - p(1))])


def test_several_references_are_averaged_and_may_tokenise_otherwise() -> None:
    # the second reference gives the same likelihoods in twice the tokens
    finer = Replay({text: [value / 2 for value in row for _ in range(2)] for text, row in REFERENCE.items()})
    one = score(DATA, language_model(ROWS, REFERENCE), MembershipOptions(), RNG)
    two = score(DATA, language_model(ROWS, REFERENCE, finer), MembershipOptions(), RNG)
    np.testing.assert_allclose(one, two)
    flat = Replay({text: [-1.0] for text in ROWS})
    mixed = score(DATA, language_model(ROWS, REFERENCE, flat), MembershipOptions(), RNG)
    explained = score_target(DATA, language_model(ROWS), MembershipOptions(), RNG) - one
    # the flat one cuts every text into one token of a nat: two of the target's tokens are half a nat each
    flat_part = np.array([p(0.5) - p(1, 0.5), 0.0])
    np.testing.assert_allclose(mixed, one + explained - (explained + flat_part) / 2)


def test_a_reference_that_is_the_target_explains_everything() -> None:
    assert score(DATA, language_model(ROWS, ROWS), MembershipOptions(), RNG).tolist() == pytest.approx([0.0, 0.0])


def test_a_record_without_rewrites_has_no_score() -> None:
    data = records(["a", "b"], [True, False], [["a1", "a2"], []])
    for found in (
        score(data, language_model(ROWS, REFERENCE), MembershipOptions(), RNG),
        score_target(data, language_model(ROWS), MembershipOptions(), RNG),
    ):
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


def test_without_paraphrases_it_is_skipped() -> None:
    result = run_attack(SPV, records(["a", "b"], [True, False]), language_model(ROWS, REFERENCE), RNG)
    assert result.status is Status.SKIPPED
    assert "paraphrases" in result.reason
