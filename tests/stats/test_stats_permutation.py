"""Permutation tests against enumeration and scipy; corrections against scipy and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.roc import auc
from mlflow_clinsec.stats.tests import (
    benjamini_hochberg,
    holm,
    permutation_auc_test,
    sign_flip_test,
    single_case_test,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_sign_flips_by_hand() -> None:
    # (1, 2, 3): of 8 sign patterns only all-plus reaches the sum 6. (-1, 2, 3): sum 4 is reached by 6 and 4.
    assert sign_flip_test([1.0, 2.0, 3.0], rng()) == 1 / 8
    assert sign_flip_test([-1.0, 2.0, 3.0], rng()) == 2 / 8


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8))
def test_sign_flips_of_few_groups_are_enumerated(differences: list[float]) -> None:
    patterns = itertools.product((1, -1), repeat=len(differences))
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in patterns]
    assert sign_flip_test(differences, rng()) == pytest.approx(np.mean(np.array(sums) >= sum(differences)))


def test_sums_that_differ_only_in_rounding_are_ties() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floats, yet flipping all three signs is the same sum: 8 patterns, 5 of them >= 0.
    assert sign_flip_test([0.1, 0.2, -0.3], rng()) == 5 / 8


def test_many_groups_are_sampled_and_agree_with_scipy() -> None:
    differences = rng(1).normal(0.25, 1, size=30)
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", alternative="greater", n_resamples=20_000, rng=rng(2)
    ).pvalue
    assert sign_flip_test(differences, rng(3), 20_000) == pytest.approx(expected, abs=0.01)


def test_a_single_case_by_hand() -> None:
    # controls 1, 2, 3: mean 2, sd 1; (5 - 2) / (1 * sqrt(4 / 3)) = 2.598 on 2 degrees of freedom
    assert single_case_test(5.0, [1.0, 2.0, 3.0]) == pytest.approx(stats.t.sf(3 / math.sqrt(4 / 3), 2))
    assert single_case_test(5.0, [1.0, 2.0, 3.0], least_sd=2.0) == pytest.approx(stats.t.sf(1.5 / math.sqrt(4 / 3), 2))
    assert single_case_test(2.0, [1.0, 2.0, 3.0]) == pytest.approx(0.5)


def test_a_single_case_among_controls_without_spread() -> None:
    assert (single_case_test(0.1, [0.0, 0.0]), single_case_test(0.0, [0.0, 0.0])) == (0.0, 1.0)
    assert math.isnan(single_case_test(1.0, [0.0]))


def test_a_single_case_is_the_two_sample_t_test_of_one_value() -> None:
    controls = rng(3).normal(size=12)
    expected = stats.ttest_ind([1.3], controls, alternative="greater").pvalue
    assert single_case_test(1.3, controls) == pytest.approx(expected)


def test_a_p_value_is_never_zero() -> None:
    assert sign_flip_test(np.ones(60), rng(), n_perm=99) == 1 / 100
    scores, member = np.arange(80.0), np.arange(80) >= 40
    assert permutation_auc_test(scores, member, np.arange(80), rng(), n_perm=99) == 1 / 100


def test_sign_flips_hold_their_level_under_the_null() -> None:
    found = [sign_flip_test(rng(seed).normal(size=25), rng(seed + 1000), 199) for seed in range(400)]
    assert np.mean(np.array(found) <= 0.05) < 0.085  # standard error 0.011


def test_nothing_to_flip_is_nan() -> None:
    assert math.isnan(sign_flip_test([], rng()))
    assert math.isnan(permutation_auc_test([1.0, 2.0], [1, 1], [0, 1], rng()))


@pytest.mark.parametrize("bad", [[1.0, math.nan], [1.0, math.inf]])
def test_differences_must_be_finite(bad: list[float]) -> None:
    with pytest.raises(DataError):
        sign_flip_test(bad, rng())


def test_auc_permutations_against_all_relabellings() -> None:
    # 6 patients, 2 of them members: 15 relabellings, enumerated.
    scores = np.array([5.0, 4.0, 4.5, 1.0, 2.0, 3.0, 0.5, 2.5])
    group = np.array([0, 0, 1, 2, 3, 4, 5, 5])
    member = group < 2
    observed = auc(scores, member)
    all_aucs = [auc(scores, np.isin(group, pair)) for pair in itertools.combinations(range(6), 2)]
    exact = np.mean(np.array(all_aucs) >= observed - 1e-12)
    assert permutation_auc_test(scores, member, group, rng(), 20_000) == pytest.approx(exact, abs=0.01)


def test_auc_permutations_move_patients_not_notes() -> None:
    # Patient effects only, nothing learnt: by patient the test keeps its level, by note it does not.
    by_patient, by_note = [], []
    for seed in range(150):
        noise = rng(seed)
        group = np.repeat(np.arange(16), 8)
        scores = noise.normal(size=16)[group] + 0.3 * noise.normal(size=128)
        by_patient.append(permutation_auc_test(scores, group < 8, group, noise, 99))
        by_note.append(permutation_auc_test(scores, group < 8, np.arange(128), noise, 99))
    assert np.mean(np.array(by_patient) <= 0.05) < 0.11
    assert np.mean(np.array(by_note) <= 0.05) > 0.25


def test_a_patient_on_both_sides_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 groups hold both members and non-members"):
        permutation_auc_test([1.0, 2.0, 3.0], [1, 0, 0], [7, 7, 8], rng())


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, 0.04, the last raised to 0.06.
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


@given(P_VALUES)
def test_holm_by_its_textbook_loop(p: list[float]) -> None:
    adjusted, so_far = [0.0] * len(p), 0.0
    for position, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p) - position) * p[i]))
        adjusted[i] = so_far
    assert holm(p).tolist() == pytest.approx(adjusted)


@given(P_VALUES)
def test_corrections_keep_the_order_and_never_shrink(p: list[float]) -> None:
    for adjusted in (benjamini_hochberg(p), holm(p)):
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-15).all()
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert (adjusted <= 1).all()
    assert (holm(p) >= benjamini_hochberg(p) - 1e-12).all()


@pytest.mark.parametrize("correct", [benjamini_hochberg, holm])
def test_tests_not_made_stay_nan_and_do_not_count(correct: object) -> None:
    assert callable(correct)
    np.testing.assert_array_equal(correct([0.01, math.nan, 0.04]), [*correct([0.01, 0.04])[:1], math.nan, 0.04])
    assert np.isnan(correct([math.nan])).all()
    assert correct([]).size == 0


@pytest.mark.parametrize("correct", [benjamini_hochberg, holm])
def test_p_values_are_probabilities(correct: object) -> None:
    assert callable(correct)
    with pytest.raises(DataError, match=r"lie in \[0, 1\]"):
        correct([0.5, 1.2])
