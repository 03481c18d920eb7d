"""Folds keep patients whole and are balanced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.folds import group_folds

GROUPS = st.lists(st.integers(0, 12), min_size=12, max_size=80).filter(lambda g: len(set(g)) >= 5)


@given(GROUPS, st.integers(2, 5), st.integers(0, 99))
def test_no_group_is_split_and_no_fold_is_empty(group: list[int], n_folds: int, seed: int) -> None:
    strata = np.array(group) % 3
    fold = group_folds(group, n_folds, np.random.default_rng(seed), strata)
    assert set(fold) == set(range(n_folds))
    assert all(len(set(fold[np.array(group) == g])) == 1 for g in set(group))


@given(GROUPS, st.integers(2, 5), st.integers(0, 99))
def test_fold_sizes_differ_by_no_more_than_the_largest_group(group: list[int], n_folds: int, seed: int) -> None:
    # Dealing largest first to the smallest fold: the largest fold was the smallest when it got its last group.
    fold = group_folds(group, n_folds, np.random.default_rng(seed))
    sizes = np.bincount(fold, minlength=n_folds)
    assert sizes.max() - sizes.min() <= np.bincount(group).max()


def test_each_stratum_is_balanced() -> None:
    # 6 members' patients and 18 others of 5 notes each: every one of 3 folds gets 2 and 6 of them.
    group = np.repeat(np.arange(24), 5)
    member = group < 6
    fold = group_folds(group, 3, np.random.default_rng(0), member)
    assert np.bincount(fold[member]).tolist() == [10, 10, 10]
    assert np.bincount(fold[~member]).tolist() == [30, 30, 30]


def test_a_seed_fixes_the_folds_and_another_changes_them() -> None:
    group = np.arange(50)
    first, again, other = (group_folds(group, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("n_folds", [0, 1, 4])
def test_impossible_numbers_of_folds_are_refused(n_folds: int) -> None:
    with pytest.raises(DataError, match=rf"between 2 and the number of groups \(3\), got {n_folds}"):
        group_folds([1, 2, 3], n_folds, np.random.default_rng(0))


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="one length"):
        group_folds([1, 2, 3], 2, np.random.default_rng(0), [True, False])
