"""Epsilon lower bounds: textbook counts, an independent count of the one-run p-value, and no alarm on noise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.epsilon import (
    epsilon_from_counts,
    epsilon_lower,
    one_run_bound,
    one_run_epsilon,
    one_run_p_value,
)

SIMULATIONS = 500
MOST_ALARMS = 36  # 5% of 500 is 25; a true rate of 5% gives more than 36 in 1 of 100 such tests


def _allowed(alarms: int) -> bool:
    return alarms <= MOST_ALARMS


def test_bound_from_counts_is_the_textbook_one() -> None:
    tpr = binomtest(60, 100).proportion_ci(0.95, method="exact").low
    fpr = binomtest(10, 120).proportion_ci(0.95, method="exact").high
    expected = max(math.log(tpr / fpr), math.log((1 - fpr) / (1 - tpr)))
    assert float(epsilon_from_counts(60, 100, 10, 120)) == pytest.approx(expected)
    with_delta = max(math.log((tpr - 0.01) / fpr), math.log((1 - fpr - 0.01) / (1 - tpr)))
    assert float(epsilon_from_counts(60, 100, 10, 120, delta=0.01)) == pytest.approx(with_delta)


def test_false_negatives_count_as_much_as_false_positives() -> None:
    # no member is missed, half of the non-members are accused: TNR / FNR shows what TPR / FPR does not
    bound = float(epsilon_from_counts(100, 100, 50, 100))
    fnr = 1 - binomtest(100, 100).proportion_ci(0.95, method="exact").low
    tnr = 1 - binomtest(50, 100).proportion_ci(0.95, method="exact").high
    assert bound == pytest.approx(math.log(tnr / fnr))


counts = st.integers(1, 300)


@given(counts, counts, st.data())
def test_bound_rises_with_hits_falls_with_alarms_and_never_passes_perfection(
    m: int, n: int, data: st.DataObject
) -> None:
    hits, alarms = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    delta = data.draw(st.floats(0, 0.2))
    bound = float(epsilon_from_counts(hits, m, alarms, n, delta=delta))
    perfect = float(epsilon_from_counts(m, m, 0, n, delta=delta))
    assert 0 <= bound <= perfect + 1e-9
    assert math.isfinite(perfect)
    if hits < m and alarms < n:
        assert float(epsilon_from_counts(hits + 1, m, alarms, n, delta=delta)) >= bound - 1e-9
        assert float(epsilon_from_counts(hits, m, alarms + 1, n, delta=delta)) <= bound + 1e-9
    assert float(epsilon_from_counts(hits, m, alarms, n, delta=delta, level=0.99)) <= bound + 1e-9


def test_separated_patients_reach_the_bound_of_perfect_counts() -> None:
    member = np.arange(200) % 2 == 0
    estimate = epsilon_lower(member * 1.0, member, np.arange(200), np.random.default_rng(0))
    assert estimate.value == pytest.approx(float(epsilon_from_counts(75, 75, 0, 75)))
    assert estimate.low == estimate.value
    assert estimate.high == math.inf


def test_no_alarm_on_noise_with_clustered_notes() -> None:
    # ten correlated notes a patient: counted as records they would be positive far more often
    rng = np.random.default_rng(20)
    group = np.repeat(np.arange(60), 10)
    alarms = 0
    for _ in range(SIMULATIONS):
        member = rng.permutation(np.arange(60) % 2 == 0)[group]
        scores = rng.normal(size=60)[group] + 0.1 * rng.normal(size=600)
        alarms += epsilon_lower(scores, member, group, rng).value > 0
    assert _allowed(alarms)


def test_choosing_and_judging_on_the_same_patients_would_raise_false_alarms() -> None:
    # what the split is for: the best of all thresholds on the same 200 patients is positive far too often
    rng = np.random.default_rng(21)
    alarms = 0
    for _ in range(200):
        hits = np.arange(1, 101)
        scores, member = rng.normal(size=200), np.arange(200) % 2 == 0
        cuts = np.sort(scores[member])[::-1]
        false = np.array([(scores[~member] >= cut).sum() for cut in cuts])
        alarms += bool((epsilon_from_counts(hits, 100, false, 100, level=0.75) > 0).any())
    chosen = sum(
        epsilon_lower(rng.normal(size=200), np.arange(200) % 2 == 0, np.arange(200), rng, level=0.75).value > 0
        for _ in range(200)
    )
    assert alarms > 2 * chosen


def test_nan_scores_and_few_patients() -> None:
    member = np.arange(12) % 2 == 0
    scores = np.where(member, np.nan, 1.0)
    estimate = epsilon_lower(scores, member, np.arange(12), np.random.default_rng(0))
    assert math.isnan(estimate.value)
    assert "patients on each side, got 0" in estimate.reason


@pytest.mark.parametrize("bad", [{"delta": 1.0}, {"delta": -0.1}, {"level": 1.0}])
def test_parameters_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(DataError, match=next(iter(bad))):
        epsilon_from_counts(1, 2, 1, 2, **bad)


def _slow_p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Theorem 5.2 by exact fractions and a double loop."""
    q = Fraction(math.exp(epsilon) / (1 + math.exp(epsilon)))
    mass = [Fraction(math.comb(r, k)) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
    worst = max((sum(mass[v - i : v], Fraction(0)) / i for i in range(1, v + 1)), default=Fraction(0))
    return min(1.0, float(sum(mass[v:], Fraction(0)) + 2 * m * Fraction(delta) * worst))


@pytest.mark.parametrize(("m", "r", "v"), [(20, 10, 9), (20, 20, 13), (8, 4, 4), (8, 4, 0)])
@pytest.mark.parametrize("epsilon", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("delta", [0.0, 1e-3])
def test_one_run_p_value_equals_a_slow_count(m: int, r: int, v: int, epsilon: float, delta: float) -> None:
    assert one_run_p_value(m, r, v, epsilon, delta) == pytest.approx(_slow_p_value(m, r, v, epsilon, delta), abs=1e-12)


def test_one_run_bound_of_perfect_guesses_has_a_closed_form() -> None:
    # all r right: P[B >= r] = q^r = error, so q = error^(1/r) and epsilon = log(q / (1 - q))
    q = 0.05 ** (1 / 100)
    assert one_run_bound(100, 100, 100, 0.0, 0.05) == pytest.approx(math.log(q / (1 - q)))
    assert one_run_bound(100, 100, 50, 0.0, 0.05) == 0.0
    assert one_run_bound(100, 100, 100, 1e-4, 0.05) < one_run_bound(100, 100, 100, 0.0, 0.05)


@settings(max_examples=60)
@given(st.integers(2, 120), st.data())
def test_one_run_bound_rises_with_right_guesses_and_falls_with_delta(m: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(1, m))
    v = data.draw(st.integers(0, r))
    bound = one_run_bound(m, r, v, 0.0, 0.05)
    assert 0 <= bound <= one_run_bound(m, r, r, 0.0, 0.05)
    assert one_run_bound(m, r, max(v - 1, 0), 0.0, 0.05) <= bound
    assert one_run_bound(m, r, v, 1e-3, 0.05) <= bound
    assert one_run_p_value(m, r, v, bound, 0.0) <= 0.05 or bound == 0


def test_one_run_is_silent_on_noise_and_ties() -> None:
    rng = np.random.default_rng(22)
    alarms, tied = 0, 0
    for _ in range(SIMULATIONS):
        included = rng.random(80) < 0.5
        alarms += one_run_epsilon(rng.normal(size=80), included, rng).value > 0
        # all scores equal, and the included come first: the order must tell nothing
        tied += one_run_epsilon(np.zeros(80), np.sort(included)[::-1], rng).value > 0
    assert _allowed(alarms)
    assert _allowed(tied)


def test_one_run_holds_for_randomised_response_of_known_epsilon() -> None:
    # a mechanism that is exactly 1-private: the bound may exceed 1 in at most 5% of runs, and is not vacuous
    rng = np.random.default_rng(23)
    truth = math.exp(1) / (1 + math.exp(1))
    bounds = []
    for _ in range(SIMULATIONS):
        included = rng.random(400) < 0.5
        answer = np.where(rng.random(400) < truth, included, ~included)
        bounds.append(one_run_epsilon(answer + 1e-6 * rng.random(400), included, rng).value)
    assert _allowed(int((np.array(bounds) > 1).sum()))
    assert np.median(bounds) > 0.5


def test_one_run_leaves_unscored_canaries_out_of_the_guesses() -> None:
    included = np.arange(40) % 2 == 0
    scores = included.astype(float)
    whole = one_run_epsilon(scores, included, np.random.default_rng(0))
    partial = one_run_epsilon(np.where(np.arange(40) < 10, np.nan, scores), included, np.random.default_rng(0))
    assert 0 < partial.value < whole.value
    alone = one_run_epsilon(np.full(40, np.nan), included, np.random.default_rng(0))
    assert "two scored canaries, got 0" in alone.reason
