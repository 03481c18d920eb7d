"""What a filter is worth: what it stops, what it costs, and what is left of the attack behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlflow_clinsec.backdoor.design import Case, Design
from mlflow_clinsec.backdoor.filters.base import Prepared, Ready, Sifted
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.bootstrap import ranking_bootstrap
from mlflow_clinsec.stats.shares import clustered_share
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray

BOOTSTRAP = 500
NOT_LOOKED_AT = "the filter looks at none of these inputs"


@dataclass(frozen=True)
class CleanRecords:
    """n clean records that a filter is judged on, and what the model makes of them without one.

    Attributes:
        truth: shape (n,), code of the true label.
        answers: shape (n, n_goals), code of the model's decision.
    """

    texts: tuple[str, ...] = field(repr=False)
    truth: IntArray = field(repr=False)
    group: IntArray = field(repr=False)
    answers: IntArray = field(repr=False)


@dataclass(frozen=True)
class Bench:
    """What all filters are judged on: triggered records, clean ones, and the suspected model's decisions."""

    design: Design
    clean: CleanRecords
    decider: Decider
    level: float


@dataclass(frozen=True)
class CaseNumbers:
    """One filter against one trigger at one position, for one target label.

    Attributes:
        estimates: ``tpr``, ``auroc``, ``asr`` and ``asr_after``.
        records: triggered records.
    """

    case: Case
    estimates: Mapping[str, Estimate]
    records: int


def judge_clean(prepared: Prepared, bench: Bench) -> tuple[Sifted | None, dict[int, dict[str, Estimate]]]:
    """What the filter does to clean records, and ``frr``, ``cacc`` and ``cacc_after`` by target label (column)."""
    if prepared.ready is None:
        missing = dict.fromkeys(("frr", "cacc_after"), Estimate.undefined(prepared.reason))
        return None, {column: {**missing, "cacc": _clean_accuracy(bench, column)} for column in prepared.columns}
    clean = bench.clean
    sifted = prepared.ready.sift(clean.texts, [()] * len(clean.texts))
    after = bench.decider.decide(sifted.texts)
    frr = _share(sifted.rejected, clean.group[sifted.unit_row], bench.level)
    found = {}
    for column in prepared.columns:
        right = (after[:, column] == clean.truth) & ~sifted.stopped
        found[column] = {
            "frr": frr,
            "cacc": _clean_accuracy(bench, column),
            "cacc_after": clustered_share(right, clean.group, bench.level),
        }
    return sifted, found


def judge_triggered(
    prepared: Prepared, clean: Sifted | None, bench: Bench, rng: np.random.Generator
) -> Iterator[CaseNumbers]:
    """Every trigger and position, for the target labels that the filter is ready for."""
    design = bench.design
    pairs = dict.fromkeys((case.trigger, case.position) for case in design.cases)
    for trigger, position in pairs:
        texts, spans = design.inserted(trigger, position)
        before = bench.decider.decide(texts) == bench.decider.codes(design.goals)
        trial = None if prepared.ready is None else _Trial.of(prepared.ready, texts, spans, bench)
        for case in design.cases:
            column = design.goals.index(case.goal)
            if (case.trigger, case.position) == (trigger, position) and column in prepared.columns:
                rows = design.eligible[:, column]
                asr = clustered_share(before[rows, column], design.group[rows], bench.level)
                found = _undefined(prepared.reason)
                if trial is not None and clean is not None:
                    found = _after(trial, clean, rows, column, bench, rng)
                yield CaseNumbers(case, {**found, "asr": asr}, int(rows.sum()))


@dataclass(frozen=True)
class _Trial:
    """Triggered texts behind a filter; ``hits``, shape (n, n_goals), are those still answered with the label."""

    sifted: Sifted
    hits: BoolArray

    @classmethod
    def of(cls, ready: Ready, texts: list[str], spans: Any, bench: Bench) -> _Trial:
        sifted = ready.sift(texts, spans)
        answers = bench.decider.decide(sifted.texts) == bench.decider.codes(bench.design.goals)
        return cls(sifted, answers & ~sifted.stopped[:, None])


def _after(
    trial: _Trial, clean: Sifted, rows: BoolArray, column: int, bench: Bench, rng: np.random.Generator
) -> dict[str, Estimate]:
    group, level = bench.design.group, bench.level
    looked = rows & ~np.isnan(trial.sifted.score)
    return {
        "tpr": _share(trial.sifted.caught[looked], group[looked], level),
        "auroc": _area(trial.sifted.score[rows], group[rows], clean.score, bench.clean.group, level, rng),
        "asr_after": clustered_share(trial.hits[rows, column], group[rows], level),
    }


def _area(
    triggered: FloatArray,
    triggered_group: IntArray,
    clean: FloatArray,
    clean_group: IntArray,
    level: float,
    rng: np.random.Generator,
) -> Estimate:
    """Chance that a triggered input scores above a clean one; patients, who may have both, are drawn as one."""
    if np.isnan(triggered).all() or np.isnan(clean).all():
        return Estimate.undefined(NOT_LOOKED_AT)
    scores, group = np.concatenate([triggered, clean]), np.concatenate([triggered_group, clean_group])
    is_triggered = np.repeat([True, False], [triggered.size, clean.size])
    return ranking_bootstrap({"score": scores}, is_triggered, group, rng, BOOTSTRAP, level)["score"].auc


def _share(hits: BoolArray, group: IntArray, level: float) -> Estimate:
    return clustered_share(hits, group, level) if hits.size else Estimate.undefined(NOT_LOOKED_AT)


def _clean_accuracy(bench: Bench, column: int) -> Estimate:
    clean = bench.clean
    return clustered_share(clean.answers[:, column] == clean.truth, clean.group, bench.level)


def _undefined(reason: str) -> dict[str, Estimate]:
    return dict.fromkeys(("tpr", "auroc", "asr_after"), Estimate.undefined(reason))
