"""Input checks: what is refused, and that the message says what came."""

from __future__ import annotations

import numpy as np
import pytest

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.arrays import as_flags, as_scores, cluster_index, in_unit_interval, same_length, sum_by


def test_boolean_scores_are_refused_because_their_auc_is_not_the_scores_auc() -> None:
    with pytest.raises(DataError, match="thresholded"):
        as_scores(np.array([True, False]))


def test_text_scores_are_refused_without_quoting_them() -> None:
    with pytest.raises(DataError, match="must be numbers") as caught:
        as_scores(np.array(["Mr Smith", "b"]), "nll")
    assert "Smith" not in str(caught.value)


def test_nan_scores_are_counted_and_infinite_ones_allowed() -> None:
    with pytest.raises(DataError, match="1 NaN of 3"):
        as_scores([1.0, np.nan, 2.0])
    assert as_scores([1, np.inf]).tolist() == [1.0, np.inf]
    assert np.isnan(as_scores([np.nan], allow_nan=True)).all()


@pytest.mark.parametrize("values", [[True, False], [1, 0], [1.0, 0.0]])
def test_flags_are_booleans_or_zeros_and_ones(values: list[float]) -> None:
    assert as_flags(values).tolist() == [True, False]


@pytest.mark.parametrize("values", [[0.3, 1.0], ["yes", "no"], [2, 0], [np.nan, 1.0]])
def test_anything_else_is_no_flag(values: list[object]) -> None:
    with pytest.raises(DataError, match="in_training must hold booleans or 0/1"):
        as_flags(values, "in_training")


def test_shapes_are_named_when_they_differ() -> None:
    with pytest.raises(DataError, match=r"scores \(3,\), member \(2,\)"):
        same_length(scores=np.zeros(3), member=np.zeros(2))
    with pytest.raises(DataError, match="one-dimensional"):
        same_length(scores=np.zeros((2, 2)), member=np.zeros((2, 2)))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0, float("nan")])
def test_levels_are_fractions(level: float) -> None:
    with pytest.raises(DataError, match="level must lie strictly between 0 and 1"):
        in_unit_interval(level, "level")


def test_clusters_are_numbered_in_sorted_order_and_summed() -> None:
    index, k = cluster_index([70, 3, 70, 5])
    assert (index.tolist(), k) == ([2, 0, 2, 1], 3)
    assert sum_by(index, [1, 2, 4, 8], k).tolist() == [2, 8, 5]
