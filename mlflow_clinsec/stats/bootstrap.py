"""Resampling patients: how well members are told from non-members, with intervals that allow for clusters.

Patients, not notes, are drawn with replacement, separately among members and non-members. A bootstrap of
notes treats ten notes of one patient as ten patients, and its 95% intervals cover far less.
"""

from __future__ import annotations

import math
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
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.stats.roc import auc, best_threshold, enough_nonmembers, tpr_at_fpr
from mlflow_clinsec.stats.shares import effective_interval
from mlflow_clinsec.stats.tests import member_of_groups
from mlflow_clinsec.stats.weighted import weighted_ranking

FPRS: Mapping[str, float] = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0_1pct_fpr": 0.001}
METRICS = ("auc", *FPRS, "balanced_accuracy")


@dataclass(frozen=True)
class Draws:
    """One metric's value and its bootstrap draws; the level is chosen when an interval is read.

    Attributes:
        value: point estimate on all records; NaN when undefined.
        draws: shape (n_boot,); NaN for draws without a class.
        clusters: patients that back the value: of the smaller class, or of the members for a TPR.
        n: patients of both classes.
        reason: why the value is undefined; else "".
    """

    value: float
    draws: FloatArray = field(repr=False)
    clusters: int
    n: int
    reason: str = ""

    def at(self, level: float) -> Estimate:
        """The estimate with its interval at ``level``."""
        in_unit_interval(level, "level")
        if self.reason:
            return Estimate.undefined(self.reason, self.n)
        variance = float(np.nanvar(self.draws)) * self.clusters / max(self.clusters - 1, 1)
        degenerate = not 0 < self.value < 1 or not variance > 0
        effective_n = self.clusters if degenerate else self.value * (1 - self.value) / variance
        degrees = math.inf if degenerate else self.clusters - 1
        low, high = effective_interval(self.value, effective_n, degrees, level)
        return Estimate(self.value, low, high, self.n, level, "cluster bootstrap, wilson")


@dataclass(frozen=True)
class RankingEstimates:
    """How well one score tells members from non-members.

    Attributes:
        auc, tpr_at_1pct_fpr, tpr_at_0_1pct_fpr, balanced_accuracy: the estimates at the level asked for.
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
    metrics: Mapping[str, Draws] = field(repr=False)

    def at_level(self, metric: str, level: float) -> Estimate:
        """One metric's estimate at another confidence level, such as 1 - 0.05 / (number of attacks)."""
        return self.metrics[metric].at(level)

    def as_mapping(self) -> dict[str, Estimate]:
        """Metric name -> estimate, in the order of ``METRICS``."""
        return {name: getattr(self, name) for name in METRICS}


def cluster_weights(
    group: ArrayLike, rng: np.random.Generator, n_boot: int, strata: ArrayLike | None = None
) -> IntArray:
    """How often each bootstrap draw holds each cluster.

    Args:
        group: shape (n,), cluster of each record.
        strata: shape (n,), resampled separately; constant within a cluster (its first record decides).

    Returns:
        Shape (n_boot, clusters); columns in sorted order of the group codes. Within each stratum a row sums
        to the number of the stratum's clusters.
    """
    index, k = cluster_index(group)
    stratum_of_record = np.zeros(index.size) if strata is None else np.asarray(strata)
    same_length(group=index, strata=stratum_of_record)
    first_record = np.unique(index, return_index=True)[1]
    stratum = stratum_of_record[first_record]
    weights = np.empty((n_boot, k), dtype=np.int64)
    for value in np.unique(stratum):
        columns = np.flatnonzero(stratum == value)
        even = np.full(columns.size, 1 / columns.size)
        weights[:, columns] = rng.multinomial(columns.size, even, size=n_boot)
    return weights


def group_means(
    scores: ArrayLike, member: ArrayLike, group: ArrayLike
) -> tuple[FloatArray, BoolArray, IntArray]:
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
    same_length(member=flags, group=cluster, **scores)
    stratum = _membership_of_groups(flags, cluster, k)[cluster]
    weights = cluster_weights(cluster, rng, n_boot, stratum).T.copy()
    fold = group_folds(cluster, 2, rng, flags) if k >= 2 else np.zeros(flags.size, dtype=np.int64)
    judge = _Judge(flags, cluster, fold, weights, level)
    return {name: judge.estimates(values) for name, values in scores.items()}


def _membership_of_groups(flags: BoolArray, cluster: IntArray, k: int) -> IntArray:
    # 1 non-members only, 2 members only, 3 both: a patient of both kinds is still drawn as one.
    members, others = sum_by(cluster, flags, k), sum_by(cluster, ~flags, k)
    return (1 * (others > 0) + 2 * (members > 0)).astype(np.int64)


@dataclass(frozen=True)
class _Judge:
    """What all scores of one bootstrap share."""

    member: BoolArray
    cluster: IntArray
    fold: IntArray
    weights: IntArray
    level: float

    def estimates(self, scores: FloatArray) -> RankingEstimates:
        keep = ~np.isnan(scores)
        member = self.member[keep]
        metrics = self._metrics(scores[keep], member, self.cluster[keep], self.fold[keep])
        return RankingEstimates(
            **{name: metrics[name].at(self.level) for name in METRICS},
            n_members=int(member.sum()),
            n_nonmembers=int((~member).sum()),
            n_dropped=int((~keep).sum()),
            metrics=metrics,
        )

    def _metrics(
        self, scores: FloatArray, member: BoolArray, cluster: IntArray, fold: IntArray
    ) -> dict[str, Draws]:
        n = np.unique(cluster).size
        if not 0 < member.sum() < member.size:
            absent = Draws(math.nan, np.empty(0), 0, n, "needs both members and non-members with a score")
            return dict.fromkeys(METRICS, absent)
        of_members, of_others = np.unique(cluster[member]).size, np.unique(cluster[~member]).size
        smaller = min(of_members, of_others)
        fprs = tuple(FPRS.values())
        aucs, tprs = weighted_ranking(scores, member, cluster, self.weights, fprs)
        metrics = {"auc": Draws(auc(scores, member), aucs, smaller, n)}
        for (name, fpr), draws in zip(FPRS.items(), tprs, strict=True):
            n_others = int((~member).sum())
            reason = "" if enough_nonmembers(n_others, fpr) else too_few_nonmembers(n_others, fpr)
            metrics[name] = Draws(tpr_at_fpr(scores, member, fpr), draws, of_members, n, reason)
        metrics["balanced_accuracy"] = self._accuracy(scores, member, cluster, fold, smaller, n)
        return metrics

    def _accuracy(
        self, scores: FloatArray, member: BoolArray, cluster: IntArray, fold: IntArray, smaller: int, n: int
    ) -> Draws:
        called = cross_fitted_calls(scores, member, fold)
        if called is None:
            reason = "needs members and non-members of at least two patients each to choose a threshold"
            return Draws(math.nan, np.empty(0), 0, n, reason)
        right = called == member
        draws = (
            _weighted_share(right, member, cluster, self.weights)
            + _weighted_share(right, ~member, cluster, self.weights)
        ) / 2
        return Draws(float((right[member].mean() + right[~member].mean()) / 2), draws, smaller, n)


def cross_fitted_calls(scores: FloatArray, member: BoolArray, fold: IntArray) -> BoolArray | None:
    """Call each record member or not by the threshold that was best on the other fold's patients.

    Returns:
        Shape (n,); None when a fold lacks a class.
    """
    called = np.zeros(scores.size, dtype=np.bool_)
    for here in (0, 1):
        judged = fold == here
        threshold = best_threshold(scores[~judged], member[~judged])
        if math.isnan(threshold) or not judged.any():
            return None
        called[judged] = scores[judged] >= threshold
    return called


def too_few_nonmembers(n_nonmembers: int, fpr: float) -> str:
    """The reason why a TPR at this rate is undefined."""
    needed = math.ceil(1 / fpr)
    return f"a false-positive rate of {fpr:g} needs at least {needed} non-members, got {n_nonmembers}"


def _weighted_share(hits: BoolArray, among: BoolArray, cluster: IntArray, weights: IntArray) -> FloatArray:
    k = weights.shape[0]
    total = np.bincount(cluster[among], minlength=k) @ weights
    hit = np.bincount(cluster[among & hits], minlength=k) @ weights
    with np.errstate(invalid="ignore"):
        return hit / total
