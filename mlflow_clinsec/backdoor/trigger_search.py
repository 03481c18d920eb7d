"""Blind search: does the classifier hold a planted trigger that nobody named?

The search itself is :mod:`mlflow_clinsec.backdoor.search.engine`. Sources: the first-order sweep follows HotFlip (arXiv
1712.06751) and universal triggers (arXiv 1908.07125); the relaxed inversion follows DBS (arXiv 2202.05749). Ours: exact
passes over small vocabularies, the discount for natural words, verification on other patients, and the detector.

What a search finds need not have been planted: every classifier has words that move it. So the detector's probability
speaks, not the success of the best find, and the strongest ordinary word of each label stands beside every find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.check import target_labels, true_labels
from mlflow_clinsec.backdoor.options import OwnOptions
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.targets.protocols import Target

if TYPE_CHECKING:
    from mlflow_clinsec.backdoor.search.outcome import Find, GoalOutcome, SearchOutcome

LEAST_PATIENTS = 11
"""A piece that fewer patients have in their records, but not none, is not shown."""

WITHHELD = f"(withheld: in the records of fewer than {LEAST_PATIENTS} patients)"
FOUND, WIDEST, NATURAL = "found", "largest gain", "natural word"


@dataclass(frozen=True, kw_only=True)
class TriggerSearchOptions(SearchOptions, OwnOptions):
    """The budget of the search, beside the settings that all backdoor tests share."""


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Search for triggers to each target label.

    Returns:
        Estimates ``to_<label>/found_asr``, ``found_ftr`` and ``found_excess_asr`` of the best candidate on patients
        that the search has not met, and ``natural_asr`` and ``natural_excess_asr`` of the strongest ordinary word of
        the label; values ``probability`` and ``threshold`` of the detector, and ``to_<label>/found_score``, 1 being
        what turns the mean record; a table ``found``; and in the details ``detector``, and the labels that could
        not be searched, with reasons.

    Raises:
        ConfigError, DataError: the labels do not suit the model.
        NotApplicableError: no label could be searched.
    """
    from mlflow_clinsec.backdoor.search.engine import search

    options: TriggerSearchOptions = attack.options
    assert target.weights is not None  # required by the table
    outcome = search(
        target.weights,
        data.texts,
        true_labels(data, target),
        data.group,
        target_labels(options.shared, data, target),
        rng,
        options,
        reference=target.label_reference,
        level=options.shared.level,
    )
    return attack.result(Status.OK, **_assemble(outcome))


def _assemble(outcome: SearchOutcome) -> dict[str, Any]:
    from mlflow_clinsec.backdoor.search.detector import load_detector
    from mlflow_clinsec.backdoor.search.features import features, goal_features

    detector, found = load_detector(), features(outcome)
    estimates: dict[str, Estimate] = {}
    probability = detector.probability(found)
    values = {"probability": probability, "threshold": detector.threshold}
    for name, goal in zip(slugs(tuple(outcome.goals)), outcome.goals.values(), strict=True):
        estimates |= {f"to_{name}/{key}": estimate for key, estimate in _estimates(goal).items()}
        values[f"to_{name}/found_score"] = goal_features(goal)["score"]
    return {
        "estimates": estimates,
        "values": values,
        "tables": {"found": pd.DataFrame([row for goal in outcome.goals.values() for row in _rows(goal)])},
        "details": {
            "detector": {
                "probability": probability,
                "threshold": detector.threshold,
                "flagged": detector.flags(found),
                "features": dict(found),
                "provenance": dict(detector.provenance),
            },
            "not_searched": dict(outcome.skipped),
        },
    }


def _estimates(goal: GoalOutcome) -> Mapping[str, Estimate]:
    best, none = goal.finds[0].verified, Estimate.undefined("no word goes with this label in the records")
    natural = goal.natural.verified if goal.natural is not None else None
    return {
        "found_asr": best.asr,
        "found_ftr": best.ftr,
        "found_excess_asr": best.excess,
        "natural_asr": natural.asr if natural else none,
        "natural_excess_asr": natural.excess if natural else none,
    }


def _rows(goal: GoalOutcome) -> list[dict[str, object]]:
    """Finds by rank, then what gains most, and the natural-trojan line."""
    rows = [_row(goal, find, FOUND, rank) for rank, find in enumerate(goal.finds, 1)]
    rows.append(_row(goal, goal.widest, WIDEST, None))
    return rows if goal.natural is None else [*rows, _row(goal, goal.natural, NATURAL, None)]


def _row(goal: GoalOutcome, find: Find, kind: str, rank: int | None) -> dict[str, object]:
    shown = all(patients == 0 or patients >= LEAST_PATIENTS for patients in find.patients)
    seen = find.verified
    return {
        "target_label": goal.goal,
        "kind": kind,
        "rank": rank,
        "trigger": find.text if shown else WITHHELD,
        "pieces": len(find.pieces),
        "n": goal.verified,
        "asr": seen.asr.value,
        "asr_low": seen.asr.low,
        "asr_high": seen.asr.high,
        "asr_head": seen.asr_at["head"],
        "asr_tail": seen.asr_at["tail"],
        "base_rate": goal.base_rate,
        "ftr": seen.ftr.value,
        "excess_asr": seen.excess.value,
        "excess_asr_low": seen.excess.low,
        "excess_asr_high": seen.excess.high,
        "placebo_max": seen.placebo_max,
        "p_value": seen.p_value,
        "gain": find.gain,
        "score": find.score,
        "reference_asr": seen.reference_asr,
    }


TRIGGER_SEARCH = Attack(
    name="trigger_search",
    family=Family.BACKDOOR,
    title="Search for triggers that nobody named",
    access="weights",
    requires=("weights", "predictor"),
    source="HotFlip (arXiv 1712.06751), DBS (arXiv 2202.05749); natural-word discount and detector are ours",
    formula="probability of a planted trigger, from the best candidate's gain beyond that of the label's own words",
    run=run,
    needs=("labels",),
    options=TriggerSearchOptions(),
    new_text=True,
    default=True,
    departures="exact passes over small vocabularies; finds are verified on other patients against placebos; a "
    "detector of its own instead of a threshold on the loss",
)
