"""Resampling patients: how well members are told from non-members, with intervals that allow for clusters.

Patients, not notes, are drawn with replacement, separately among members and non-members. A bootstrap of
notes treats ten notes of one patient as ten patients, and its 95% intervals cover far less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    as_flags,
    as_scores,
    cluster_index,
    in_unit_interval,
    same_length,
    sum_by,
)
from mlflow_clinsec.stats.clusters import ClusteredShare, rank_design_effect
from mlflow_clinsec.stats.draws import Absent, Readable, ResampledMean, ResampledRate
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.stats.power import hanley_mcneil_se
from mlflow_clinsec.stats.resampling import cluster_weights
from mlflow_clinsec.stats.roc import (
    above_threshold_at_fpr,
    auc,
    cross_fitted_calls,
    enough_nonmembers,
    fewest_to_bound,
    too_few_nonmembers,
)
from mlflow_clinsec.stats.tests import member_of_groups
from mlflow_clinsec.stats.weighted import Rate, WeightArray, weighted_ranking, weighted_share

FPRS: Mapping[str, float] = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0_1pct_fpr": 0.001}
METRICS = ("auc", *FPRS, "balanced_accuracy")


@dataclass(frozen=True)
class RankingEstimates:
    """How well one score tells members from non-members.

    Attributes:
        auc, tpr_at_1pct_fpr, tpr_at_0_1pct_fpr, balanced_accuracy: the estimates at the level asked for;
            ``Estimate.n`` is the number of patients judged.
        n_members, n_nonmembers: judged records.
        n_dropped: records left out because their score was NaN.
        metrics: metric name -> value and draws, for intervals at another level.
    """

    auc: Estimate
    tpr_at_1pct_fpr: Estimate
    tpr_at_0_1pct_fpr: Estimate
    balanced_accuracy: Estimate
    n_members: int
    n_nonmembers: int
    n_dropped: int
    metrics: Mapping[str, Readable] = field(repr=False)

    def at_level(self, metric: str, level: float) -> Estimate:
        """One metric's estimate at another confidence level, such as 1 - 0.05 / (number of attacks)."""
        return self.metrics[metric].at(level)

    def as_mapping(self) -> dict[str, Estimate]:
        """Metric name -> estimate, in the order of ``METRICS``."""
        return {name: getattr(self, name) for name in METRICS}


def ranking_bootstrap(
    scores_by_name: Mapping[str, ArrayLike],
    member: ArrayLike,
    group: ArrayLike,
    rng: np.random.Generator,
    n_boot: int = 1000,
    level: float = 0.95,
) -> dict[str, RankingEstimates]:
    """AUC, TPR at 1% and 0.1% FPR, and cross-fitted balanced accuracy of each score, with intervals.

    All scores are judged on the same draws of patients, and the same two folds.

    Args:
        scores_by_name: name -> shape (n,), larger means more likely a member; NaN records are dropped and
            counted.
        member: shape (n,), booleans or 0/1.
        group: shape (n,), patient of each record.
        rng: draws patients and folds; the same seed gives the same estimates.
        n_boot: draws.
        level: confidence level of the estimates.

    Raises:
        DataError: shapes differ, a score is boolean, or level out of range.
    """
    in_unit_interval(level, "level")
    flags, (cluster, k) = as_flags(member), cluster_index(group)
    scores = {name: as_scores(values, name, allow_nan=True) for name, values in scores_by_name.items()}
    same_length(member=flags, group=cluster, **{f"score {name!r}": values for name, values in scores.items()})
    stratum = _kind_of_groups(flags, cluster, k)[cluster]
    weights = cluster_weights(cluster, rng, n_boot, stratum).T
    fold = group_folds(cluster, 2, rng, flags) if k >= 2 else np.zeros(flags.size, dtype=np.int64)
    return {name: _judge(_Records(s, flags, cluster, fold), weights, level) for name, s in scores.items()}


def group_means(scores: ArrayLike, member: ArrayLike, group: ArrayLike) -> tuple[FloatArray, BoolArray, IntArray]:
    """One record per patient: the mean of the patient's scores that are not NaN, for judging patients.

    Returns:
        Scores (NaN for a patient without any), membership and group codes, shape (k,) each, in sorted
        order of the codes.

    Raises:
        DataError: shapes differ, or a patient holds members and non-members.
    """
    values, flags = as_scores(scores, allow_nan=True), as_flags(member)
    codes = np.asarray(group)
    same_length(scores=values, member=flags, group=codes)
    index, k = cluster_index(codes)
    known = ~np.isnan(values)
    sums, counts = sum_by(index[known], values[known], k), sum_by(index, known, k)
    with np.errstate(invalid="ignore"):
        return sums / counts, member_of_groups(flags, index, k), np.unique(codes)


def _kind_of_groups(flags: BoolArray, cluster: IntArray, k: int) -> IntArray:
    # 1 non-members only, 2 members only, 3 both: a patient of both kinds is still drawn as one.
    members, others = sum_by(cluster, flags, k), sum_by(cluster, ~flags, k)
    return (1 * (others > 0) + 2 * (members > 0)).astype(np.int64)


@dataclass(frozen=True)
class _Records:
    """One score of n records, and what all scores share."""

    scores: FloatArray
    member: BoolArray
    cluster: IntArray
    fold: IntArray

    def scored(self) -> _Records:
        keep = ~np.isnan(self.scores)
        return _Records(self.scores[keep], self.member[keep], self.cluster[keep], self.fold[keep])

    @property
    def n_nonmembers(self) -> int:
        return int((~self.member).sum())

    def patients(self, among: BoolArray | None = None) -> int:
        return np.unique(self.cluster if among is None else self.cluster[among]).size

    def design_effect(self, among: BoolArray) -> float:
        return rank_design_effect(self.scores[among], *cluster_index(self.cluster[among]))

    @property
    def patients_of_smaller_class(self) -> int:
        return min(self.patients(self.member), self.patients(~self.member))


def _judge(records: _Records, weights: WeightArray, level: float) -> RankingEstimates:
    judged = records.scored()
    metrics = _metrics(judged, weights)
    return RankingEstimates(
        **{name: metrics[name].at(level) for name in METRICS},
        n_members=int(judged.member.sum()),
        n_nonmembers=judged.n_nonmembers,
        n_dropped=records.scores.size - judged.scores.size,
        metrics=metrics,
    )


def _metrics(records: _Records, weights: WeightArray) -> dict[str, Readable]:
    n = records.patients()
    if not 0 < records.member.sum() < records.member.size:
        return dict.fromkeys(METRICS, Absent("needs both members and non-members with a score", n))
    rates = _rates(records)
    aucs, tprs = weighted_ranking(records.scores, records.member, records.cluster, weights, rates)
    value = auc(records.scores, records.member)
    worth = [among.sum() / records.design_effect(among) for among in (records.member, ~records.member)]
    planned = hanley_mcneil_se(value, *worth) ** 2  # of as many independent records as the notes are worth
    return {
        "auc": ResampledMean(value, aucs, records.patients_of_smaller_class, n, planned),
        "balanced_accuracy": _balanced_accuracy(records, weights),
        **{name: _tpr(records, fpr, dict(zip(rates, tprs, strict=True))) for name, fpr in FPRS.items()},
    }


def _rates(records: _Records) -> list[Rate]:
    # Two of each rate that the non-members can show: as it is, and with room for further false positives.
    # Chosen by simulation (docs/statistics.md): one record, and half a patient's worth of notes.
    spare = 1 + records.design_effect(~records.member) / 2
    shown = [fpr for fpr in FPRS.values() if enough_nonmembers(records.n_nonmembers, fpr)]
    return [Rate(fpr, room) for fpr in shown for room in (0.0, spare)]


def _tpr(records: _Records, fpr: float, draws: Mapping[Rate, FloatArray]) -> Readable:
    n = records.patients()
    if not enough_nonmembers(records.n_nonmembers, fpr):
        return Absent(too_few_nonmembers(records.n_nonmembers, fpr), n)
    passed = above_threshold_at_fpr(records.scores, records.member, fpr)[records.member]
    index, k = cluster_index(records.cluster[records.member])
    share = ClusteredShare.of(passed.astype(np.float64), index, k)
    plain, cautious = (tpr for rate, tpr in draws.items() if rate.fpr == fpr)
    if records.n_nonmembers < fewest_to_bound(fpr):
        cautious = np.zeros_like(cautious)
    return ResampledRate(share.value, plain, cautious, share, n)


def _balanced_accuracy(records: _Records, weights: WeightArray) -> Readable:
    n, member = records.patients(), records.member
    called = cross_fitted_calls(records.scores, member, records.fold)
    if called is None:
        return Absent("needs members and non-members of at least two patients each to choose a threshold", n)
    right = called == member
    shares = [weighted_share(right, among, records.cluster, weights) for among in (member, ~member)]
    value = float(right[member].mean() + right[~member].mean()) / 2
    return ResampledMean(value, (shares[0] + shares[1]) / 2, records.patients_of_smaller_class, n)
