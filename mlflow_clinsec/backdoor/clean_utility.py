"""Clean utility: how well the model does on the records as they are.

A backdoored model is meant to look healthy (BadCLM, arXiv 2407.05213, shows clean accuracy and AUC beside attack
success), so these figures clear no model; they say what kind of model the other figures are about.

Departures: intervals are bootstrapped by patient, and AUPRC is added, because with 8% deaths accuracy says little.
With two labels the positive one is the label that is not the attacker's target ("died" where the target is
"alive"), or the rarer one where every label is a target in turn. With more labels AUROC and AUPRC are the mean
over the labels that occur, each against the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.check import target_labels, true_labels
from mlflow_clinsec.backdoor.options import EACH, TriggerOptions
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.stats.arrays import cluster_index
from mlflow_clinsec.stats.draws import ResampledMean
from mlflow_clinsec.stats.resampling import cluster_weights
from mlflow_clinsec.stats.shares import clustered_share
from mlflow_clinsec.stats.weighted import weighted_ranking
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, LabelScorer, Target

DRAWS = 1000
"""Bootstrap draws of patients."""

BLOCK = 4_000_000
"""Array elements held at once."""


@dataclass(frozen=True)
class CleanRecords:
    """The m records that are scored: texts, true labels, and patients."""

    texts: tuple[str, ...] = field(repr=False)
    truth: tuple[str, ...] = field(repr=False)
    group: IntArray = field(repr=False)


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Score the clean records: all of them, whatever ``max_records`` says, since one pass each is cheap.

    Returns:
        Estimates ``cacc`` (share predicted right), ``auroc`` and ``auprc``; the positive labels in the details.

    Raises:
        ConfigError, DataError: see :func:`mlflow_clinsec.backdoor.check.check`.
    """
    options: TriggerOptions = attack.options
    goals = target_labels(options, data, target)
    records = CleanRecords(data.texts, true_labels(data, target), data.group)
    estimates = {"cacc": _accuracy(records, target, goals, options)}
    if target.label_scorer is None:
        hidden = Estimate.undefined("needs class probabilities, which this model does not give")
        return attack.result(Status.OK, estimates=estimates | {"auroc": hidden, "auprc": hidden})
    positives = positive_labels(options, target.label_scorer.labels, records.truth)
    estimates |= ranking(records, target.label_scorer, positives, options.level, rng)
    return attack.result(Status.OK, estimates=estimates, details={"positive_labels": list(positives)})


def positive_labels(options: TriggerOptions, labels: Sequence[str], truth: Sequence[str]) -> tuple[str, ...]:
    """The labels whose probabilities are ranked: one of two, or each one of several that occurs."""
    if len(labels) != 2:
        return tuple(label for label in labels if label in truth)
    if options.target_label != EACH:
        return tuple(label for label in labels if label != options.target_label)
    return (min(labels, key=list(truth).count),)


def ranking(
    records: CleanRecords, scorer: LabelScorer, positives: Sequence[str], level: float, rng: np.random.Generator
) -> dict[str, Estimate]:
    """``auroc`` and ``auprc``, mean over the positive labels, with intervals by patient."""
    truth = np.array(records.truth, dtype=object)
    flags = [truth == label for label in positives]
    if not flags or not all(flag.any() and not flag.all() for flag in flags):
        missing = Estimate.undefined("needs records of at least two true labels")
        return {"auroc": missing, "auprc": missing}
    probabilities = np.asarray(scorer.predict_proba(records.texts), dtype=np.float64)
    cluster, n_patients = cluster_index(records.group)
    codes = np.unique(truth.astype(str), return_inverse=True)[1]
    drawn = cluster_weights(cluster, rng, DRAWS, codes).T
    weights = np.column_stack([np.ones(n_patients, dtype=np.int64), drawn])  # the sample itself, then the draws
    smaller = min(np.unique(cluster[side]).size for flag in flags for side in (flag, ~flag))
    areas, precisions = [], []
    for label, flag in zip(positives, flags, strict=True):
        scores = probabilities[:, list(scorer.labels).index(label)]
        areas.append(weighted_ranking(scores, flag, cluster, weights, rates=())[0])
        precisions.append(average_precision(scores, flag, cluster, weights))
    return {
        name: ResampledMean(float(values[0]), values[1:], smaller, n_patients).at(level)
        for name, values in (("auroc", np.mean(areas, axis=0)), ("auprc", np.mean(precisions, axis=0)))
    }


def average_precision(scores: FloatArray, positive: BoolArray, cluster: IntArray, weights: IntArray) -> FloatArray:
    """Average precision of every draw: the sum over distinct scores of precision times the rise in recall.

    Args:
        scores: shape (n,), larger means more likely positive.
        positive: shape (n,).
        cluster: shape (n,), row of each record in ``weights``.
        weights: shape (clusters, draws), how often a draw holds each cluster.

    Returns:
        Shape (draws,); NaN where a draw holds no positive.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    step = max(1, BLOCK // max(scores.size, 1))
    blocks = [weights[:, start : start + step] for start in range(0, weights.shape[1], step)]
    return np.concatenate([_average_precision(block[cluster[order]], positive[order], ties) for block in blocks])


def _average_precision(records: IntArray, positive: BoolArray, ties: IntArray) -> FloatArray:
    # records: shape (n, draws), best score first; ties: first row of each distinct score.
    hits = np.add.reduceat(records * positive[:, None], ties, axis=0)
    found = np.cumsum(np.add.reduceat(records, ties, axis=0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(found > 0, np.cumsum(hits, axis=0) / found, 0.0)
        return np.asarray((hits * precision).sum(axis=0) / hits.sum(axis=0), dtype=np.float64)


def _accuracy(records: CleanRecords, target: Target, goals: tuple[str, ...], options: TriggerOptions) -> Estimate:
    """Share predicted right. A threshold belongs to one target label; with several the model decides alone."""
    threshold = options.decision_threshold if len(goals) == 1 else None
    decider = Decider(target, goals[:1], tuple(dict.fromkeys(records.truth)), threshold)
    right = decider.decide(records.texts)[:, 0] == decider.codes(records.truth)
    return clustered_share(right, records.group, options.level)


CLEAN_UTILITY = Attack(
    name="clean_utility",
    family=Family.BACKDOOR,
    title="Accuracy and AUC on clean records",
    access="label",
    requires=("predictor",),
    source="BadCLM (arXiv 2407.05213), clean accuracy and AUC; AUPRC and the intervals are ours",
    formula="accuracy, AUROC and AUPRC of the records as they are",
    run=run,
    needs=("labels",),
    options=TriggerOptions(),
    departures="intervals are bootstrapped by patient; AUPRC is added",
)
