"""AUC and TPR at a fixed FPR of records that carry weights, for many weightings at once.

A bootstrap draw is a weighting of the same records, so one sort per score serves all draws. Weights are whole numbers,
of which sums are exact in float64 in any order: how draws are put into blocks changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.stats.arrays import BoolArray, FloatArray, IntArray, sum_by
from mlflow_clinsec.stats.roc import RATE_SLACK

BLOCK = 4_000_000
"""Array elements held at once."""

WeightArray = NDArray[np.integer[Any]]


class Rate(NamedTuple):
    """A false-positive rate to stay within, even if ``spare`` further non-members had passed the threshold."""

    fpr: float
    spare: float = 0.0


def weighted_ranking(
    scores: FloatArray, member: BoolArray, cluster: IntArray, weights: WeightArray, rates: Sequence[Rate]
) -> tuple[FloatArray, FloatArray]:
    """AUC and TPR of every draw.

    Args:
        scores: shape (n,), no NaN, n > 0.
        member: shape (n,).
        cluster: shape (n,), row of each record in ``weights``.
        weights: shape (clusters, draws), how often a draw holds each cluster; fastest where a draw lies in one piece
            (the transpose of what :func:`~mlflow_clinsec.stats.resampling.cluster_weights` gives).
        rates: where on the ROC to read the TPR.

    Returns:
        AUC of shape (draws,), and TPR of shape (len(rates), draws): the largest whose FPR is at most the rate.
        NaN where a draw holds no member or no non-member.
    """
    ranking = _Ranking.of(scores, member, cluster)
    auc, tpr = np.empty(weights.shape[1]), np.empty((len(rates), weights.shape[1]))
    for block, drawn in _blocks(weights, scores.size):
        auc[block], tpr[:, block] = ranking.judged(drawn, rates)
    return auc, tpr


def weighted_share(hits: BoolArray, among: BoolArray, cluster: IntArray, weights: WeightArray) -> FloatArray:
    """Share of hits among some of the records in every draw, shape (draws,); NaN where a draw has none of them.

    Args:
        hits, among, cluster: shape (n,).
        weights: shape (clusters, draws).
    """
    n_clusters, draws = weights.shape
    hit = sum_by(cluster[among], hits[among], n_clusters)
    every = sum_by(cluster[among], np.ones(among.sum()), n_clusters)
    share = np.empty(draws)
    for block, drawn in _blocks(weights, n_clusters):
        with np.errstate(invalid="ignore"):
            share[block] = (drawn @ hit) / (drawn @ every)
    return share


def _blocks(weights: WeightArray, width: int) -> Iterator[tuple[slice, FloatArray]]:
    # Draws with their weights, shape (draws, clusters), so many at once that `width` numbers of each can be held.
    step = max(1, BLOCK // width)
    for start in range(0, weights.shape[1], step):
        yield slice(start, start + step), weights.T[start : start + step].astype(np.float64)


@dataclass(frozen=True)
class _Ranking:
    """Records in descending order of their score, members and non-members apart.

    Attributes:
        members, others: cluster of each member and of each non-member.
        above, through: for each non-member, members that score higher, and those that score at least as high.
        members_within, others_within: members and non-members down to each distinct score.
    """

    members: IntArray
    others: IntArray
    above: IntArray
    through: IntArray
    members_within: IntArray
    others_within: IntArray

    @classmethod
    def of(cls, scores: FloatArray, member: BoolArray, cluster: IntArray) -> _Ranking:
        order = np.argsort(-scores, kind="stable")
        ranked, positive = scores[order], member[order]
        first = np.r_[True, ranked[1:] != ranked[:-1]]
        last = np.r_[np.flatnonzero(first)[1:] - 1, ranked.size - 1]  # of each distinct score
        within = np.cumsum(positive, dtype=np.int64)
        step = np.cumsum(first, dtype=np.int64)[~positive]  # distinct score of each non-member, from 1
        reached = np.r_[0, within[last]]
        return cls(
            cluster[order][positive],
            cluster[order][~positive],
            reached[step - 1],
            reached[step],
            within[last],
            (1 + last) - within[last],
        )

    def judged(self, drawn: FloatArray, rates: Sequence[Rate]) -> tuple[FloatArray, FloatArray]:
        """AUC and TPR of some draws, whose weights have the shape (draws, clusters)."""
        others = np.take(drawn, self.others, axis=1)
        true_positives = _running(np.take(drawn, self.members, axis=1))
        false_positives = _running(others)
        n_positive, n_negative = true_positives[:, -1], false_positives[:, -1]
        beaten = np.einsum("dn,dn->d", others, np.take(true_positives, self.above, axis=1))
        if not np.array_equal(self.above, self.through):  # tied members count one half
            tied = np.einsum("dn,dn->d", others, np.take(true_positives, self.through, axis=1))
            beaten = (beaten + tied) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = beaten / (n_positive * n_negative)
            within = [self._within(true_positives, false_positives, rate) for rate in rates]
            tpr = np.array(within).reshape(-1, n_positive.size) / n_positive
        return auc, np.where((n_negative > 0) & (n_positive > 0), tpr, np.nan)

    def _within(self, true_positives: FloatArray, false_positives: FloatArray, rate: Rate) -> FloatArray:
        # True positives at the lowest threshold that keeps to the rate; none when no threshold does.
        limits = (rate.fpr + RATE_SLACK) * (false_positives[:, -1] + rate.spare) - rate.spare
        pairs = zip(false_positives, limits, strict=True)
        passed = np.array([np.searchsorted(row, limit, side="right") - 1 for row, limit in pairs])
        allowed = np.searchsorted(self.others_within, passed, side="right")
        reached = true_positives[np.arange(allowed.size), self.members_within[allowed - 1]]
        return np.where(allowed > 0, reached, 0.0)


def _running(weights: FloatArray) -> FloatArray:
    """Sums of each row's first 0, 1, ... weights."""
    found = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=found[:, 1:])
    return found
