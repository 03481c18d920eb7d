"""Exposure and its p-values, by hand and against full enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.privacy.exposure import (
    coin_flip_p_value,
    exposure_at_chance,
    exposures,
    mean_exposure,
    ranks,
)

SCORES = np.array([9.0, 5.0, 1.0, 8.0, 4.0, 2.0])
INCLUDED = np.array([True, True, True, False, False, False])


def test_ranks_and_exposure_by_hand() -> None:
    # left out: 8, 4, 2. A score of 9 beats all three (rank 1), 5 is beaten by 8 (rank 2), 1 by all (rank 4)
    assert ranks(SCORES, INCLUDED).tolist() == [1, 2, 4]
    assert exposures(SCORES, INCLUDED).tolist() == [2, 1, 0]  # log2 4 - log2 rank


def test_a_tie_counts_against_the_canary() -> None:
    assert ranks(np.array([3.0, 3.0, 1.0]), np.array([True, False, False])).tolist() == [2]


def test_exposure_at_chance_is_the_mean_over_all_ranks() -> None:
    assert exposure_at_chance(3) == pytest.approx(np.mean([2, 1, 2 - math.log2(3), 0]))
    rng = np.random.default_rng(1)
    drawn = [exposures(rng.normal(size=100), np.arange(100) < 50).mean() for _ in range(300)]
    assert np.mean(drawn) == pytest.approx(exposure_at_chance(50), abs=0.05)


def test_mean_exposure_has_students_interval() -> None:
    found = mean_exposure(np.array([2.0, 1.0, 0.0]))
    assert found.value == pytest.approx(1.0)
    assert found.high - found.value == pytest.approx(4.3027 * 1 / math.sqrt(3), rel=1e-4)  # t(2) at 97.5%
    assert math.isnan(mean_exposure(np.array([2.0])).low)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.data())
def test_p_value_equals_enumeration_of_all_coin_flips(values: list[int], data: st.DataObject) -> None:
    scores = np.array(values, dtype=float)  # few distinct values: ties are the rule
    included = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    mid = np.array([(scores < s).sum() + ((scores == s).sum() + 1) / 2 for s in scores])
    centred = mid - mid.mean()
    flips = [sum(c for c, coin in zip(centred, coins, strict=True) if coin) for coins in
             itertools.product([False, True], repeat=len(values))]  # fmt: skip
    observed = centred[included].sum()
    expected = np.mean([total >= observed - 1e-9 for total in flips])
    assert coin_flip_p_value(scores, included) == pytest.approx(expected)


def test_p_value_is_uniform_or_larger_under_the_null() -> None:
    rng = np.random.default_rng(3)
    found = np.array([coin_flip_p_value(rng.normal(size=40), rng.random(40) < 0.5) for _ in range(2000)])
    for level in (0.01, 0.05, 0.25):
        assert (found <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / 2000)
    assert 0.47 < found.mean() < 0.53


def test_p_value_of_hundreds_told_apart_is_tiny_and_finite() -> None:
    included = np.arange(500) % 2 == 0
    assert 0 < coin_flip_p_value(included + np.linspace(0, 0.1, 500), included) < 1e-80
