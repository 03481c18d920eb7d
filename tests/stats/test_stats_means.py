from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.means import clustered_mean


def test_one_record_each_is_the_textbook_interval() -> None:
    values = np.random.default_rng(0).normal(3, 2, 25)
    found = clustered_mean(values, np.arange(25), 0.9)
    low, high = stats.t.interval(0.9, 24, loc=values.mean(), scale=stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert (found.n, found.level) == (25, 0.9)


def test_copies_of_a_record_say_nothing_new() -> None:
    values, group = np.random.default_rng(1).normal(size=12), np.arange(12)
    once, often = clustered_mean(values, group), clustered_mean(np.repeat(values, 7), np.repeat(group, 7))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_coverage_where_notes_of_a_patient_resemble_each_other() -> None:
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        values = np.repeat(rng.normal(1.0, 1.0, 30), 5) + rng.normal(0, 0.5, 150)
        found = clustered_mean(values, np.repeat(np.arange(30), 5))
        covered += found.low <= 1.0 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_too_few_and_bad_values() -> None:
    assert math.isnan(clustered_mean([1.0, 2.0], [4, 4]).value)
    assert clustered_mean([1.0, 2.0], [4, 4]).reason
    with pytest.raises(DataError, match="finite"):
        clustered_mean([1.0, np.inf], [0, 1])
