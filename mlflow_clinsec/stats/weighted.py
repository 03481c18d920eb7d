"""AUC and TPR at a fixed FPR of records that carry weights, for many weightings at once.

A bootstrap draw is a weighting of the same records, so one sort per score serves all draws.
"""

from __future__ import annotations

import numpy as np

from mlflow_clinsec.stats.arrays import BoolArray, FloatArray, IntArray
from mlflow_clinsec.stats.roc import RATE_SLACK

BLOCK = 4_000_000
"""Array elements held at once."""


def weighted_ranking(
    scores: FloatArray, member: BoolArray, cluster: IntArray, weights: IntArray, fprs: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """AUC and TPR of every draw.

    Args:
        scores: shape (n,), no NaN.
        member: shape (n,).
        cluster: shape (n,), row of each record in ``weights``.
        weights: shape (clusters, draws), how often a draw holds each cluster.
        fprs: false-positive rates.

    Returns:
        AUC of shape (draws,), and TPR of shape (len(fprs), draws): the largest whose FPR is at most the rate.
        NaN where a draw holds no member or no non-member.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    draws = weights.shape[1]
    auc, tpr = np.empty(draws), np.empty((len(fprs), draws))
    step = max(1, BLOCK // max(scores.size, 1))
    for start in range(0, draws, step):
        block = slice(start, start + step)
        records = weights[cluster[order], block].astype(np.float64)
        auc[block], tpr[:, block] = _ranking(records, member[order], ties, fprs)
    return auc, tpr


def _ranking(
    records: FloatArray, member: BoolArray, ties: IntArray, fprs: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    # records: shape (n, draws), best score first; ties: first row of each distinct score.
    positives = np.add.reduceat(records * member[:, None], ties, axis=0)
    negatives = np.add.reduceat(records * ~member[:, None], ties, axis=0)
    true_positives, false_positives = np.cumsum(positives, axis=0), np.cumsum(negatives, axis=0)
    n_positive, n_negative = true_positives[-1], false_positives[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Members strictly above a non-member count one, tied members one half.
        auc = np.einsum("ud,ud->d", negatives, true_positives - positives / 2) / (n_positive * n_negative)
        rates = [_rate_at(true_positives, false_positives, fpr) / n_positive for fpr in fprs]
    return auc, np.where((n_negative > 0) & (n_positive > 0), rates, np.nan)


def _rate_at(true_positives: FloatArray, false_positives: FloatArray, fpr: float) -> FloatArray:
    allowed = (false_positives <= (fpr + RATE_SLACK) * false_positives[-1]).sum(axis=0)
    padded = np.vstack([np.zeros(true_positives.shape[1]), true_positives])
    return padded[allowed, np.arange(allowed.size)]
