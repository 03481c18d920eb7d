"""Planning figures against Hanley & McNeil's own numbers and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats import power
from mlflow_clinsec.stats.shares import wilson


def test_standard_error_is_hanley_and_mcneils() -> None:
    # Their 1982 example: area 0.893 with 51 abnormal and 58 normal images. Q1 = 0.893 / 1.107 = 0.8067,
    # Q2 = 2 * 0.893^2 / 1.893 = 0.8425; variance (0.09555 + 50 * 0.00925 + 57 * 0.04506) / 2958 = 0.00106.
    assert power.hanley_mcneil_se(0.893, 51, 58) == pytest.approx(0.0325, abs=2e-4)


@settings(max_examples=40)
@given(st.integers(30, 2000), st.integers(30, 2000), st.floats(0.5, 0.7))
def test_smallest_auc_is_where_the_distance_is_just_reached(m: int, n: int, threshold: float) -> None:
    found = power.smallest_detectable_auc(m, n, threshold)
    assert found is not None
    reach = 1.95996 * power.hanley_mcneil_se(threshold, m, n) + 0.84162 * power.hanley_mcneil_se(found, m, n)
    assert threshold < found < 1
    assert found - threshold == pytest.approx(reach, rel=1e-4)


def test_more_records_detect_less() -> None:
    sizes = [50, 100, 400, 1600]
    aucs = [power.smallest_detectable_auc(n, n, 0.6) for n in sizes]
    shares = [power.smallest_detectable_tpr(n, 0.05) for n in sizes]
    excesses = [power.smallest_detectable_excess(n, 0.2, 0.1) for n in sizes]
    for found in (aucs, shares, excesses):
        values = [value for value in found if value is not None]
        assert len(values) == len(sizes)
        assert values == sorted(values, reverse=True)


def test_a_tiny_sample_detects_nothing() -> None:
    assert power.smallest_detectable_auc(2, 2, 0.6) is None
    assert power.smallest_detectable_tpr(3, 0.5) is None
    assert power.smallest_detectable_excess(4, 0.5, 0.4) is None
    assert power.smallest_detectable_excess(100, 0.95, 0.1) is None  # an excess of 0.1 cannot exist


def test_records_needed_and_smallest_detectable_are_inverse() -> None:
    needed = power.records_needed_auc(0.65, 0.6)
    assert needed is not None
    at, below = (power.smallest_detectable_auc(n, n, 0.6) for n in (needed, needed - 1))
    assert at is not None
    assert below is not None
    assert at <= 0.65 < below
    needed = power.records_needed_share(0.1, 0.05)
    assert needed is not None
    at, below = (power.smallest_detectable_tpr(n, 0.05) for n in (needed, needed - 1))
    assert at is not None
    assert below is not None
    assert at <= 0.1 < below


@pytest.mark.parametrize(("value", "threshold"), [(0.10, 0.05), (0.02, 0.05), (0.55, 0.4), (0.9, 0.97)])
def test_records_needed_give_the_power_they_promise(value: float, threshold: float) -> None:
    # Draw so many records from the true share: Wilson's interval must leave the threshold out in about 80%.
    needed = power.records_needed_share(value, threshold)
    assert needed is not None
    hits = np.random.default_rng(0).binomial(needed, value, size=4000)
    bounds = {k: wilson(k, needed) for k in set(hits.tolist())}
    decided = np.mean([not bounds[k][0] <= threshold <= bounds[k][1] for k in hits.tolist()])
    assert 0.72 <= decided <= 0.88


@pytest.mark.parametrize("value", [0.6, math.nan])
def test_no_sample_decides_what_is_equal_or_unknown(value: float) -> None:
    assert power.records_needed_auc(value, 0.6) is None
    assert power.records_needed_share(value, 0.6) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 10, 0.6), "at least 1 record"), ((10, 10, 1.1), "threshold"), ((10, 10, 0.6, 95), "level"),
     ((10, 10, 0.6, 0.95, 1.0), "power")],
)  # fmt: skip
def test_impossible_questions_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        power.smallest_detectable_auc(*arguments)
    with pytest.raises(DataError, match="base_rate"):
        power.smallest_detectable_excess(10, 1.5, 0.1)


def test_nothing_lies_above_a_limit_of_one() -> None:
    assert power.smallest_detectable_auc(100, 100, 1.0) is None
    assert power.smallest_detectable_tpr(100, 1.0) is None
    assert power.records_needed_share(1.0, 1.0) is None
