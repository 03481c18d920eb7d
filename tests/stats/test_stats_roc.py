"""ROC figures against scikit-learn, against double loops, and against the peers' known mistakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats import roc
from mlflow_clinsec.stats.arrays import BoolArray, FloatArray

# Few distinct values, so that ties are the rule; both classes present.
SCORES = st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=40)


@st.composite
def scored_records(draw: st.DrawFn) -> tuple[FloatArray, BoolArray]:
    scores = np.array(draw(SCORES))
    member = np.array(draw(st.lists(st.booleans(), min_size=scores.size, max_size=scores.size)))
    member[0], member[-1] = True, False
    return scores, member


def tpr_by_double_loop(scores: FloatArray, member: BoolArray, fpr: float) -> float:
    """Try every threshold; keep the best TPR among those that keep to the rate."""
    best = 0.0
    for threshold in [*scores.tolist(), math.inf]:
        called = scores >= threshold
        if called[~member].mean() <= fpr + 1e-12:
            best = max(best, float(called[member].mean()))
    return best


@given(scored_records())
def test_auc_is_sklearns(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    assert roc.auc(scores, member) == pytest.approx(sklearn_metrics.roc_auc_score(member, scores))


@given(scored_records())
def test_auc_is_the_share_of_pairs_in_order(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    pairs = [(a > b) + (a == b) / 2 for a in scores[member] for b in scores[~member]]
    assert roc.auc(scores, member) == pytest.approx(np.mean(pairs))


@given(scored_records())
def test_auc_of_the_opposite_score_is_the_rest(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    assert roc.auc(scores, member) + roc.auc(-scores, member) == pytest.approx(1)


@given(scored_records())
def test_only_order_matters(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    moved = np.exp(scores) * 3 - 7
    assert roc.auc(moved, member) == roc.auc(scores, member)
    assert roc.tpr_at_fpr(moved, member, 0.5) == pytest.approx(roc.tpr_at_fpr(scores, member, 0.5), nan_ok=True)


def test_auc_by_hand() -> None:
    # Members 0.9 and 0.3, non-members 0.8 and 0.1. In order: (0.9, 0.8), (0.9, 0.1), (0.3, 0.1): 3 of 4 pairs.
    assert roc.auc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]) == 0.75


def test_auc_of_infinite_scores() -> None:
    # A log ratio against probability 0 is infinite, and must rank above all finite ones.
    assert roc.auc([math.inf, 1.0, -math.inf], [1, 0, 0]) == 1.0


@pytest.mark.parametrize("member", [[1, 1], [0, 0]])
def test_a_missing_class_makes_every_figure_nan(member: list[int]) -> None:
    scores = [0.1, 0.2]
    assert math.isnan(roc.auc(scores, member))
    assert math.isnan(roc.tpr_at_fpr(scores, member, 0.5))
    assert math.isnan(roc.best_threshold(scores, member))
    assert math.isnan(roc.balanced_accuracy(scores, member, 0.15))
    assert np.isnan(roc.binned_roc(scores, member)[1]).all()


def test_empty_input_is_nan_too() -> None:
    assert math.isnan(roc.auc([], []))
    assert math.isnan(roc.tpr_at_fpr([], [], 0.5))


@given(scored_records())
def test_curve_is_sklearns_with_every_threshold_kept(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    fpr, tpr = roc.roc_curve(scores, member)
    expected_fpr, expected_tpr, _ = sklearn_metrics.roc_curve(member, scores, drop_intermediate=False)
    np.testing.assert_allclose(fpr, expected_fpr)
    np.testing.assert_allclose(tpr, expected_tpr)


@given(scored_records(), st.floats(0.01, 0.99))
def test_tpr_at_fpr_is_the_best_threshold_that_keeps_to_the_rate(
    records: tuple[FloatArray, BoolArray], fpr: float
) -> None:
    scores, member = records
    found = roc.tpr_at_fpr(scores, member, fpr)
    if (~member).sum() * fpr < 1 - 1e-9:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(tpr_by_double_loop(scores, member, fpr))


@given(scored_records(), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_tpr_grows_with_fpr(records: tuple[FloatArray, BoolArray], one: float, other: float) -> None:
    low, high = (roc.tpr_at_fpr(*records, rate) for rate in sorted((one, other)))
    assert math.isnan(low) or low <= high


def test_tpr_at_fpr_is_neither_the_nearest_nor_an_interpolated_point() -> None:
    # 170 non-members at 0..169 and 10 members: four tie with the best non-member at 169, six with the next at 168.
    # One false positive (FPR 0.59%) comes with TPR 0.4, two (FPR 1.18%) with TPR 1. At 1% only one is allowed: 0.4.
    # The nearest point is the second one (off by 0.18 points, not 0.41): 1.0. Interpolation lies between.
    scores = np.r_[np.arange(170.0), np.full(4, 169.0), np.full(6, 168.0)]
    member = np.r_[np.zeros(170, bool), np.ones(10, bool)]
    fpr, tpr, _ = sklearn_metrics.roc_curve(member, scores)
    assert tpr[np.abs(fpr - 0.01).argmin()] == 1.0
    assert 0.7 < np.interp(0.01, fpr, tpr) < 1
    assert roc.tpr_at_fpr(scores, member, 0.01) == 0.4


def test_tied_nonmembers_pass_together_or_not_at_all() -> None:
    # 100 non-members of which two share the top score with all members: one may pass, two may not, so none does.
    scores = np.r_[np.full(2, 5.0), np.zeros(98), np.full(10, 5.0)]
    member = np.r_[np.zeros(100, bool), np.ones(10, bool)]
    assert roc.tpr_at_fpr(scores, member, 0.01) == 0.0
    assert roc.tpr_at_fpr(scores, member, 0.02) == 1.0


@pytest.mark.parametrize("n", [100, 200, 300, 700, 1000])
def test_rounding_does_not_cost_a_false_positive(n: int) -> None:
    # With n non-members n / 100 may pass at 1%, whatever 0.01 * n is in floats.
    scores = np.r_[np.arange(n, dtype=float), n - n // 100 - 0.5]
    member = np.r_[np.zeros(n, bool), True]
    assert roc.tpr_at_fpr(scores, member, 0.01) == 1.0


def test_too_few_nonmembers_make_the_rate_nan_with_a_reason() -> None:
    scores, member = np.arange(109.0), np.arange(109) >= 99
    assert math.isnan(roc.tpr_at_fpr(scores, member, 0.01))
    assert roc.too_few_nonmembers(99, 0.01) == "a false-positive rate of 0.01 needs at least 100 non-members, got 99"
    assert "at least 1000" in roc.too_few_nonmembers(99, 0.001)


def test_no_convex_hull() -> None:
    # On noise the area under the ROC's convex hull is above one half; ours is unbiased.
    rng = np.random.default_rng(0)
    found = [roc.auc(rng.normal(size=60), np.arange(60) < 30) for _ in range(400)]
    # Standard error of one AUC is sqrt(61 / (12 * 30 * 30)) = 0.075; of the mean of 400, 0.0038.
    assert np.mean(found) == pytest.approx(0.5, abs=0.012)


@given(scored_records())
def test_binned_curve_reads_the_staircase_at_its_grid(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    grid, tpr = roc.binned_roc(scores, member)
    assert grid is roc.DISPLAY_GRID
    for rate, found in zip(grid[:-1], tpr[:-1], strict=True):
        assert found == pytest.approx(tpr_by_double_loop(scores, member, rate))
    assert tpr[-1] == 1.0


def balanced_accuracy_by_hand(scores: FloatArray, member: BoolArray, threshold: float) -> float:
    return float(sklearn_metrics.balanced_accuracy_score(member, scores >= threshold))


@settings(max_examples=30)
@given(scored_records())
def test_best_threshold_beats_all_others(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = records
    threshold = roc.best_threshold(scores, member)
    found = roc.balanced_accuracy(scores, member, threshold)
    assert found == pytest.approx(balanced_accuracy_by_hand(scores, member, threshold))
    every = [balanced_accuracy_by_hand(scores, member, t) for t in {*scores, math.inf, -math.inf}]
    assert found == pytest.approx(max(every))
    assert threshold not in scores  # half-way, so that no calibration record sits on the edge


def test_neighbouring_floats_still_get_a_threshold_between_or_at_the_upper_one() -> None:
    lower, upper = 1.0, np.nextafter(1.0, 2.0)
    threshold = roc.best_threshold([lower, upper], [0, 1])
    assert lower < threshold <= upper
    assert roc.best_threshold([-math.inf, math.inf], [0, 1]) == math.inf
    assert roc.balanced_accuracy([-math.inf, math.inf], [0, 1], math.inf) == 1.0


@settings(max_examples=50)
@given(scored_records())
def test_cross_fitted_calls_use_the_other_folds_threshold(records: tuple[FloatArray, BoolArray]) -> None:
    scores, member = (np.concatenate([part, part]) for part in records)
    fold = np.repeat([0, 1], scores.size // 2)
    called = roc.cross_fitted_calls(scores, member, fold)
    assert called is not None
    for here in (0, 1):
        threshold = roc.best_threshold(scores[fold != here], member[fold != here])
        assert (called[fold == here] == (scores[fold == here] >= threshold)).all()


def test_cross_fitting_needs_both_classes_outside_each_fold() -> None:
    scores, fold = np.arange(4.0), np.array([0, 0, 1, 1])
    assert roc.cross_fitted_calls(scores, np.array([False, False, True, True]), fold) is None
    assert roc.cross_fitted_calls(scores, np.array([False, True, False, True]), np.zeros(4, np.int64)) is None


def test_on_noise_cross_fitting_does_not_flatter_but_the_same_records_do() -> None:
    rng = np.random.default_rng(1)
    fitted, flattered = [], []
    for _ in range(300):
        scores, member, fold = rng.normal(size=40), np.arange(40) % 2 == 0, np.arange(40) // 20
        called = roc.cross_fitted_calls(scores, member, fold)
        assert called is not None
        fitted.append(float((called == member).mean()))
        flattered.append(roc.balanced_accuracy(scores, member, roc.best_threshold(scores, member)))
    assert np.mean(fitted) < 0.52
    assert np.mean(flattered) > 0.58


@pytest.mark.parametrize("fpr", [0.0, 1.0, 5.0, -0.1])
def test_rates_are_fractions(fpr: float) -> None:
    with pytest.raises(DataError, match="fpr must lie strictly between 0 and 1"):
        roc.tpr_at_fpr([1.0, 2.0], [0, 1], fpr)


def test_shape_mismatch_is_refused() -> None:
    with pytest.raises(DataError, match=r"scores \(3,\), member \(2,\)"):
        roc.auc([1.0, 2.0, 3.0], [0, 1])
