"""Draws for a million records: other ways to draw than for a few, from the same distributions."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from mlflow_clinsec.stats import resampling, tests
from mlflow_clinsec.stats.bootstrap import ranking_bootstrap
from mlflow_clinsec.stats.resampling import cluster_weights
from mlflow_clinsec.stats.tests import permutation_auc_test


def test_draws_counted_one_by_one_are_multinomial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "MANY", 1)
    weights = cluster_weights(np.arange(12), np.random.default_rng(0), 6000, np.repeat([0, 1], [4, 8]))
    assert (weights[:, :4].sum(axis=1) == 4).all()
    assert (weights[:, 4:].sum(axis=1) == 8).all()
    for columns, k in ((slice(0, 4), 4), (slice(4, 12), 8)):  # each count is binomial, draws being independent
        seen = np.bincount(weights[:, columns].ravel(), minlength=k + 1)[:4]
        expected = binom.pmf(np.arange(4), k, 1 / k)
        np.testing.assert_allclose(seen / weights[:, columns].size, expected, atol=0.01)


@pytest.mark.parametrize(("clusters", "kind"), [(255, np.uint8), (256, np.int32)])
def test_counts_take_a_byte_where_every_one_of_them_fits(clusters: int, kind: type) -> None:
    weights = cluster_weights(np.arange(clusters), np.random.default_rng(0), 50)
    assert weights.dtype == kind
    assert (weights.sum(axis=1) == clusters).all()
    one = cluster_weights(np.repeat(np.arange(2), 5), np.random.default_rng(0), 50, np.repeat([0, 1], 5))
    assert (one == 1).all()  # alone in its stratum, a cluster is always drawn


@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_subset_of_one_size_is_equally_likely(size: int) -> None:
    rng = np.random.default_rng(size)
    drawn = Counter(tuple(np.flatnonzero(tests._random_subset(5, size, rng))) for _ in range(4000))
    assert drawn.keys() == set(combinations(range(5), size))
    assert chisquare(list(drawn.values())).pvalue > 1e-3


def test_p_values_agree_with_those_of_shuffled_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(60), 3)
    member = group < 30
    scores = rng.normal(size=180) + 0.25 * member
    shuffled = permutation_auc_test(scores, member, group, np.random.default_rng(2), 8000)
    monkeypatch.setattr(tests, "MANY", 1)
    assert permutation_auc_test(scores, member, group, np.random.default_rng(3), 8000) == pytest.approx(
        shuffled, abs=0.02
    )


def test_intervals_agree_with_those_of_multinomial_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(200), 2)
    member = group < 100
    scores = {"s": rng.normal(size=400) + 0.5 * member}
    few = ranking_bootstrap(scores, member, group, np.random.default_rng(5), n_boot=3000)["s"]
    monkeypatch.setattr(resampling, "MANY", 1)
    many = ranking_bootstrap(scores, member, group, np.random.default_rng(6), n_boot=3000)["s"]
    assert many.auc.value == few.auc.value
    assert (many.auc.low, many.auc.high) == pytest.approx((few.auc.low, few.auc.high), abs=0.005)


def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow_clinsec.stats import weighted

    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(300), 2)
    member = group < 150
    scores = {"s": np.round(rng.normal(size=600) + 0.3 * member, 2)}
    whole = ranking_bootstrap(scores, member, group, np.random.default_rng(8), n_boot=200)["s"].as_mapping()
    monkeypatch.setattr(weighted, "BLOCK", 700)
    assert ranking_bootstrap(scores, member, group, np.random.default_rng(8), n_boot=200)["s"].as_mapping() == whole
