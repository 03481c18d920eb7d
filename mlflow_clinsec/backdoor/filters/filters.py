"""Do STRIP, ONION and RAP, set up as a hospital could set them up, stop the triggers under test?

A filter stands before the suspected model. Each is made on clean records of some patients, its threshold is set on
those of others at a given false-rejection rate, and it is judged on the rest: on clean records, and on records with a
trigger inserted whose true label is not the target. A refused input is no success of the attack, and counts against
clean accuracy. Sources and departures of each filter are in its module.

Filters tell what could be done about a backdoor. They clear no model, and no policy judges them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.check import true_labels
from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.filters.base import Filters, Material, Prepared
from mlflow_clinsec.backdoor.filters.judging import Bench, CaseNumbers, CleanRecords, judge_clean, judge_triggered
from mlflow_clinsec.backdoor.filters.onion import ONION
from mlflow_clinsec.backdoor.filters.options import FilterOptions
from mlflow_clinsec.backdoor.filters.rap import RAP
from mlflow_clinsec.backdoor.filters.strip import STRIP
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.targets.protocols import IntArray, Target

logger = logging.getLogger(__name__)

KNOWN: Filters = {"strip": STRIP, "onion": ONION, "rap": RAP}

FOLDS = 4
"""One fold of the patients is learned from, one sets the threshold, two are judged."""

FEWEST_PATIENTS = 2 * FOLDS


@dataclass(frozen=True)
class Row:
    """One filter against one case, with what it costs."""

    name: str
    numbers: CaseNumbers
    cost: Mapping[str, Estimate]


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Make, calibrate and judge every filter.

    Returns:
        Estimates ``<filter>-<trigger>[-to-<label>]-<position>/tpr``, ``auroc``, ``asr``, ``asr_after``;
        ``<filter>[-to-<label>]/frr``, ``cacc``, ``cacc_after``; a table ``filters`` of them all; and in the details why
        a filter could not be made (``left_out``). A filter that looks at some inputs only (RAP: those answered with
        the target label) has ``tpr``, ``frr`` and ``auroc`` among those.

    Raises:
        NotApplicableError: fewer than eight patients.
        ConfigError, DataError: see :func:`mlflow_clinsec.backdoor.design.draw_design`.
    """
    options: FilterOptions = attack.options
    dealing, drawing, sampling, *own = rng.spawn(3 + len(options.filters))
    learn, calibrate, judged = _parts(data, dealing)
    most = min(options.records, options.shared.max_records or options.records)
    shared = replace(options.shared, positions=options.positions, max_records=most)
    design = draw_design(shared, data.select(judged), target, drawing)
    labels = tuple(dict.fromkeys([*(target.labels or ()), *design.goals, *sorted(set(true_labels(data, target)))]))
    decider = Decider(target, design.goals, labels, shared.decision_threshold)
    clean, calibrating = (_sample(np.flatnonzero(part), options.records, sampling) for part in (judged, calibrate))
    bench = Bench(design, _clean(data, clean, decider), decider, shared.level)
    texts = data.texts
    material = Material(
        tuple(texts[i] for i in np.flatnonzero(learn)), tuple(texts[i] for i in calibrating), target, decider, options
    )
    rows = [
        row
        for name, child in zip(options.filters, own, strict=True)
        for row in _judge(name, _prepared(name, material, child), bench, child)
    ]
    return attack.result(Status.OK, **_assemble(rows, design))


def _parts(data: AuditData, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Records to learn from, to calibrate on and to judge, each as flags; no patient is in two parts."""
    patients = np.unique(data.group).size
    if patients < FEWEST_PATIENTS:
        raise NotApplicableError(f"needs records of {FEWEST_PATIENTS} patients, got {patients}")
    fold = group_folds(data.group, FOLDS, rng, np.unique(np.array(data.labels, dtype=str), return_inverse=True)[1])
    return fold == 0, fold == 1, fold > 1


def _sample(rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.permutation(rows)[:most])


def _clean(data: AuditData, rows: IntArray, decider: Decider) -> CleanRecords:
    texts, truth = tuple(data.texts[i] for i in rows), true_labels(data, decider.target)
    return CleanRecords(texts, decider.codes([truth[i] for i in rows]), data.group[rows], decider.decide(texts))


def _prepared(name: str, material: Material, rng: np.random.Generator) -> list[Prepared]:
    logger.info("clinsec: filter %s, %d and %d clean records", name, len(material.learn), len(material.calibrate))
    try:
        return KNOWN[name].prepare(material, rng)
    except NotApplicableError as error:
        return [Prepared(tuple(range(len(material.decider.goals))), None, str(error))]


def _judge(name: str, made: list[Prepared], bench: Bench, rng: np.random.Generator) -> list[Row]:
    rows = []
    for prepared in made:
        clean, costs = judge_clean(prepared, bench)
        for numbers in judge_triggered(prepared, clean, bench, rng):
            rows.append(Row(name, numbers, costs[bench.design.goals.index(numbers.case.goal)]))
    return rows


def _assemble(rows: list[Row], design: Design) -> dict[str, Any]:
    goals = dict(zip(design.goals, slugs(design.goals), strict=True))
    several = len(goals) > 1
    estimates: dict[str, Estimate] = {}
    left_out: dict[str, str] = {}
    for row in rows:
        case = row.numbers.case
        whole = f"{row.name}-to-{goals[case.goal]}" if several else row.name
        estimates |= {f"{whole}/{name}": estimate for name, estimate in row.cost.items()}
        estimates |= {f"{row.name}-{case.key}/{name}": estimate for name, estimate in row.numbers.estimates.items()}
        if not row.cost["frr"].is_defined:
            left_out[whole] = row.cost["frr"].reason
    return {
        "estimates": estimates,
        "tables": {"filters": pd.DataFrame([_line(row) for row in rows])},
        "details": {"left_out": left_out},
    }


def _line(row: Row) -> dict[str, object]:
    case = row.numbers.case
    line: dict[str, object] = {
        "filter": row.name,
        "trigger": case.trigger,
        "target_label": case.goal,
        "position": case.position,
        "n": row.numbers.records,
        "rejects": KNOWN[row.name].rejects,
    }
    found = {**row.numbers.estimates, **row.cost}
    for name in ("tpr", "frr", "auroc", "asr_after", "cacc_after"):
        line |= {name: found[name].value, f"{name}_low": found[name].low, f"{name}_high": found[name].high}
    return line | {"asr": found["asr"].value, "cacc": found["cacc"].value}


FILTERS = Attack(
    name="filters",
    family=Family.BACKDOOR,
    title="What STRIP, ONION and RAP stop",
    access="weights",
    requires=("predictor",),
    source="STRIP (arXiv 1902.06531, 1911.10312), ONION (arXiv 2011.10369), RAP (arXiv 2110.07831)",
    formula="share of triggered inputs caught at a set false-rejection rate, and attack success behind the filter",
    run=run,
    needs=("labels",),
    options=FilterOptions(),
    new_text=True,
    judged=False,
    default=False,
    departures="thresholds from other patients' clean records; ONION may ask word n-grams instead of GPT-2",
)
