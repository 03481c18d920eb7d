"""bfloat16 where it keeps the accuracy budget on a sample of the records, the precision of the loaded model elsewhere.

Rounding moves losses of two models of one family by as much as training on a record does, so that a difference of
losses can lose its ranks where the losses themselves keep theirs. How much is a matter of the model and of the text;
hence it is measured on them, before the audit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.loss import score as score_loss
from mlflow_clinsec.privacy.min_k import MIN_K
from mlflow_clinsec.privacy.min_k import score as score_min_k
from mlflow_clinsec.privacy.min_k import score_plus_plus as score_min_k_plus_plus
from mlflow_clinsec.privacy.reference import score as score_reference
from mlflow_clinsec.scoring.cache import CachedLabelScorer, CachedScorer, text_key
from mlflow_clinsec.scoring.precision import as_loaded
from mlflow_clinsec.store.digests import code_digest
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.protocols import Target

logger = logging.getLogger(__name__)

RECORDS = 32
"""Records that are scored in both precisions."""
LARGEST = 0.01
"""Most that a record's mean loss (nats per token) or a class's probability may move."""
LEAST_RANK = 0.999
"""Least Spearman correlation of each score, or each class's probability, with itself in float32."""
REDUCED = "bfloat16"
NOT_MEANT = (
    "as loaded: bfloat16 is for causal language models and text classifiers that were loaded in float32, "
    "on devices with units for it"
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Deviation:
    """How far bfloat16 lies from the loaded precision on the sample.

    Attributes:
        largest: largest move of a record's mean loss in nats, or of a probability.
        rank: smallest rank correlation.
        relabelled: number of records whose most probable label is another one.
    """

    largest: float
    rank: float
    relabelled: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether all three keep the budget."""
        return self.largest <= LARGEST and self.rank >= LEAST_RANK and not self.relabelled

    def told(self, unit: str) -> str:
        """The decision and what it rests on, as a clause free of counts."""
        used = REDUCED if self.kept else "as loaded, since bfloat16 is not exact enough"
        label = "; some labels change" if self.relabelled else ""
        return f"{used}: on a sample, {unit} moves by up to {self.largest:.4f}, ranks agree to {self.rank:.4f}{label}"


def settle(open_with: Callable[[TargetOptions], Target], options: TargetOptions, data: AuditData) -> Target:
    """The target in the precision that is asked for, or as it was loaded where bfloat16 breaks the budget.

    Where the target itself cannot run in bfloat16, its references do not either: nobody would have measured them.

    Args:
        open_with: opens target and references under the given options; called again after the first one was closed.
        data: the records; :data:`RECORDS` of them, spread over the lengths, are scored in both precisions. Where scores
            are kept between audits, so is what came out.
    """
    target = open_with(options)
    if options.precision == "auto":
        return target
    if not target.precision:
        target.close()
        return _opened_as_loaded(open_with, options, NOT_MEANT)
    with ExitStack() as undo:
        undo.callback(target.close)
        found = _remembered(target, spread(data), options)
        told = found.told("a mean loss" if target.scorer is not None else "a probability")
        if found.kept:
            undo.pop_all()
            logger.info("clinsec: scoring.precision: %s", told)
            return replace(target, precision=told)
    logger.warning("clinsec: scoring.precision: %s", told)
    return _opened_as_loaded(open_with, options, told)


def _opened_as_loaded(open_with: Callable[[TargetOptions], Target], options: TargetOptions, told: str) -> Target:
    return replace(open_with(replace(options, precision="auto")), precision=told)


def reduced(target: Target) -> bool:
    """Whether a target that was settled runs in bfloat16."""
    return target.precision.startswith(REDUCED)


def spread(data: AuditData) -> AuditData:
    """At most :data:`RECORDS` of the records, evenly spaced from the shortest to the longest."""
    order = np.argsort([len(text) for text in data.texts], kind="stable")
    picks = np.linspace(0, len(data) - 1, min(len(data), RECORDS)).round().astype(int)
    keep = np.zeros(len(data), dtype=np.bool_)
    keep[order[picks]] = True
    return data.select(keep)


def _remembered(target: Target, sample: AuditData, options: TargetOptions) -> Deviation:
    shelf = options.shelf(target.identity, "bfloat16", code_digest())  # the attacks' code and this module's, too
    if shelf is None:
        return deviation(target, sample)
    key = text_key(*sample.prompts, *sample.responses)
    kept = shelf.find([key]).get(key)
    if kept is not None:
        return Deviation(*kept.tolist())
    found = deviation(target, sample)
    shelf.put({key: np.array([found.largest, found.rank, found.relabelled])})
    return found


def deviation(target: Target, sample: AuditData) -> Deviation:
    """Score a sample in bfloat16 and as loaded, nothing remembered from one to the other, and compare."""
    read = _tokens if target.scorer is not None else _probabilities
    ours = read(target, sample)
    with as_loaded():
        theirs = read(target, sample)
    moved = np.abs(ours.values - theirs.values)
    columns = zip(ours.ranked.T, theirs.ranked.T, strict=True)
    return Deviation(
        largest=float(np.nanmax(moved, initial=0.0)),
        rank=min(_rank(a, b) for a, b in columns),
        relabelled=float((ours.labels != theirs.labels).sum()),
    )


class _Read(NamedTuple):
    """What one precision says of n records.

    Attributes:
        values: shape (n, k), mean losses, or probabilities, of the target and its references.
        ranked: shape (n, m), scores by which records are ranked.
        labels: shape (n,), most probable classes.
    """

    values: FloatArray
    ranked: FloatArray
    labels: NDArray[np.int64]


def _tokens(target: Target, sample: AuditData) -> _Read:
    """Mean losses; the scores that rest on one pass over the records, the difference to references among them."""
    scorer, references = _fresh(target.scorer), tuple(map(_fresh, target.references))
    asked = replace(target, scorer=scorer, references=references)
    losses = [one.token_stats(sample.prompts, sample.responses).nll() for one in (scorer, *references)]
    scores = [score_loss, score_min_k, score_min_k_plus_plus, *([score_reference] if references else [])]
    ranked = [score(sample, asked, MIN_K.options, np.random.default_rng(0)) for score in scores]
    return _Read(np.stack(losses, axis=1), np.stack(ranked, axis=1), np.zeros(len(sample), dtype=np.int64))


def _probabilities(target: Target, sample: AuditData) -> _Read:
    tables = [_fresh(one).predict_proba(sample.texts) for one in (target.label_scorer, *target.label_references)]
    values = np.concatenate(tables, axis=1)
    return _Read(values, values, tables[0].argmax(axis=1))


def _fresh(scorer: Any) -> Any:
    """A scorer that remembers nothing yet, so that scores of both precisions never stand side by side."""
    return scorer.fresh() if isinstance(scorer, CachedScorer | CachedLabelScorer) else scorer


def _rank(ours: FloatArray, theirs: FloatArray) -> float:
    """Spearman correlation; 1 where the loaded precision tells no two records apart, 0 where only bfloat16 does not."""
    known = ~np.isnan(ours) & ~np.isnan(theirs)
    ours, theirs = ours[known], theirs[known]
    if len(ours) < 2 or np.ptp(theirs) == 0:
        return 1.0
    return float(spearmanr(ours, theirs).statistic) if np.ptp(ours) > 0 else 0.0
