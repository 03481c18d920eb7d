"""AUC and TPR at a fixed FPR of records that carry weights, for many weightings at once.

A bootstrap draw is a weighting of the same records, so one sort per score serves all draws.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlflow_clinsec.stats.arrays import BoolArray, FloatArray, IntArray, sum_by
from mlflow_clinsec.stats.roc import RATE_SLACK

BLOCK = 4_000_000
"""Array elements held at once."""


class Rate(NamedTuple):
    """A false-positive rate to stay within, even if ``spare`` further non-members had passed the threshold."""

    fpr: float
    spare: float = 0.0


def weighted_ranking(
    scores: FloatArray, member: BoolArray, cluster: IntArray, weights: IntArray, rates: Sequence[Rate]
) -> tuple[FloatArray, FloatArray]:
    """AUC and TPR of every draw.

    Args:
        scores: shape (n,), no NaN, n > 0.
        member: shape (n,).
        cluster: shape (n,), row of each record in ``weights``.
        weights: shape (clusters, draws), how often a draw holds each cluster.
        rates: where on the ROC to read the TPR.

    Returns:
        AUC of shape (draws,), and TPR of shape (len(rates), draws): the largest whose FPR is at most the rate.
        NaN where a draw holds no member or no non-member.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], member[order]
    ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    draws = weights.shape[1]
    auc, tpr = np.empty(draws), np.empty((len(rates), draws))
    step = max(1, BLOCK // scores.size)
    for start in range(0, draws, step):
        block = slice(start, start + step)
        records = weights[cluster[order], block].astype(np.float64)
        auc[block], tpr[:, block] = _ranking(records, positive, ties, rates)
    return auc, tpr


def weighted_share(hits: BoolArray, among: BoolArray, cluster: IntArray, weights: IntArray) -> FloatArray:
    """Share of hits among some of the records in every draw, shape (draws,); NaN where a draw has none of them.

    Args:
        hits, among, cluster: shape (n,).
        weights: shape (clusters, draws).
    """
    n_clusters = weights.shape[0]
    total = sum_by(cluster[among], np.ones(among.sum()), n_clusters) @ weights
    with np.errstate(invalid="ignore"):
        return (sum_by(cluster[among], hits[among], n_clusters) @ weights) / total


def _ranking(
    records: FloatArray, positive: BoolArray, ties: IntArray, rates: Sequence[Rate]
) -> tuple[FloatArray, FloatArray]:
    # records: shape (n, draws), best score first; ties: first row of each distinct score.
    positives = np.add.reduceat(records * positive[:, None], ties, axis=0)
    negatives = np.add.reduceat(records * ~positive[:, None], ties, axis=0)
    true_positives, false_positives = np.cumsum(positives, axis=0), np.cumsum(negatives, axis=0)
    n_positive, n_negative = true_positives[-1], false_positives[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Members strictly above a non-member count one, tied members one half.
        auc = np.einsum("ud,ud->d", negatives, true_positives - positives / 2) / (n_positive * n_negative)
        within = [_within(true_positives, false_positives, rate) for rate in rates]
        tpr = np.array(within).reshape(-1, n_positive.size) / n_positive
    return auc, np.where((n_negative > 0) & (n_positive > 0), tpr, np.nan)


def _within(true_positives: FloatArray, false_positives: FloatArray, rate: Rate) -> FloatArray:
    # True positives at the lowest threshold that keeps to the rate; none when no threshold does.
    limit = (rate.fpr + RATE_SLACK) * (false_positives[-1] + rate.spare) - rate.spare
    # False positives only grow down the rows: below the first row where every draw exceeds, none comes back.
    rows = bisect_left(false_positives, True, key=lambda row: bool((row > limit).all()))
    allowed = (false_positives[:rows] <= limit).sum(axis=0)
    return np.where(allowed > 0, true_positives[allowed - 1, np.arange(allowed.size)], 0.0)
