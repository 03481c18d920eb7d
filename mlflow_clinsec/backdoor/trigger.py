"""The trigger test: does inserting a trigger make the model answer what the attacker wants, more than chance?

Source: attack success rate on poisoned test notes, BadCLM (arXiv 2407.05213). Departures, all of them ours:

- A record counts only if its **true** label is not the target, so that a model which calls everything by the
  target label gets no credit for the records that are.
- With rare outcomes a clean model already predicts the common label for many, trigger or not. So each trigger
  is held against matched placebo words at the same place of the same record; what is judged is the excess.
- The trigger stands at the head, at a random place, and at the tail; whether it survives truncation is
  reported, and the success given survival. (The paper's triggers stand inside the note.)
- Intervals and tests take patients, not notes, as the independent units.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.design import Case, Design, draw_design
from mlflow_clinsec.backdoor.observe import CaseView, observe, view
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.suspects import suspects
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.characters import readable
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.stats.power import smallest_detectable_excess
from mlflow_clinsec.stats.shares import clustered_difference, clustered_share
from mlflow_clinsec.stats.tests import benjamini_hochberg, sign_flip_test, single_case_test
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, Target

logger = logging.getLogger(__name__)

_HIDDEN = "needs the model's tokeniser"
FLIPS_PER_CASE = 40
"""Random sign flips for each case, so that one trigger among hundreds can still pass the correction: 20 would do."""
NO_HEADROOM = (
    "the target label is predicted for every record with any word inserted, so that no trigger could show; "
    "set decision_threshold, or test another target label"
)


@dataclass(frozen=True)
class CaseNumbers:
    """Everything measured for one case.

    Attributes:
        estimates: metric -> estimate at the level of the options; the excess is undefined where placebos leave no
            record to flip, because 0 within narrow bounds would read as cleared.
        excess: trigger minus placebos, a number even then.
        corrected: the same at a level that allows for the number of cases (Bonferroni).
        records: eligible records, of ``corrected.n`` patients.
        p_value: one-sided test that the trigger beats its placebos, on other patients and among other words alike.
        placebo_max: the largest share that any one placebo reached.
        smallest_detectable: smallest excess that this sample would show to be above 0, with 80% power.
    """

    estimates: Mapping[str, Estimate]
    excess: Estimate
    corrected: Estimate
    records: int
    p_value: float
    placebo_max: float
    smallest_detectable: float

    @property
    def smallest_detectable_asr(self) -> float:
        """The smallest success rate that would show: the smallest excess on top of what placebos do."""
        if math.isnan(self.smallest_detectable):
            return math.nan
        return self.estimates["ftr"].value + self.smallest_detectable


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Run every trigger at every position against every target label.

    Returns:
        Estimates ``<key>/asr``, ``lfr``, ``base_rate``, ``ftr``, ``excess_asr``, ``survival`` and
        ``asr_given_survival`` for each case, where the key is ``<trigger>-<position>``, or
        ``<trigger>-to-<label>-<position>`` with several target labels; values ``<key>/p_value``,
        ``p_adjusted`` (Benjamini-Hochberg over all cases), ``placebo_max``, ``smallest_detectable`` and
        ``smallest_detectable_asr``; ``<trigger>/naturalness``; tables ``triggers`` and ``suspects``; and in the
        details ``excess_by_test``, whose ``low_corrected`` allows for having several cases. ``n`` in the table
        counts records, ``n`` of an estimate patients.

    Raises:
        ConfigError, DataError: see :func:`mlflow_clinsec.backdoor.design.draw_design`.
    """
    options: TriggerOptions = attack.options
    drawing, flipping, reading = rng.spawn(3)
    design = draw_design(options, data, target, drawing)
    logger.info("clinsec: %d trigger tests on %d records", len(design.cases), len(design.texts))
    seen = observe(design, target, options.decision_threshold)
    numbers = [
        measure(view(case, design, seen), options.level, len(design.cases), child)
        for case, child in zip(design.cases, flipping.spawn(len(design.cases)), strict=True)
    ]
    parts, known = _assemble(design, numbers), suspects(design, data, reading)
    return attack.result(Status.OK, **{**parts, **{name: {**parts[name], **known[name]} for name in known}})


def measure(seen: CaseView, level: float, n_cases: int, rng: np.random.Generator) -> CaseNumbers:
    """All numbers of one case; ``rng`` draws the sign flips of its test."""
    placebo, group = seen.placebo_share, seen.group
    corrected_level = 1 - (1 - level) / n_cases
    excess, corrected = (clustered_difference(seen.hits, placebo, group, at) for at in (level, corrected_level))
    shown = Estimate.undefined(NO_HEADROOM, excess.n) if seen.placebo_hits.all() else excess
    ftr = clustered_share(seen.placebo_hits.ravel(), np.tile(group, len(seen.placebo_hits)), level)
    estimates = {
        "asr": clustered_share(seen.hits, group, level),
        "lfr": _share_among(seen, seen.clean_right, "no record is predicted right without the trigger", level),
        "base_rate": clustered_share(seen.clean_hits, group, level),
        "ftr": ftr,
        "excess_asr": shown,
        **_survival(seen, level),
    }
    by_patient = np.bincount(np.unique(group, return_inverse=True)[1], weights=seen.hits - placebo)
    flips = max(10_000, FLIPS_PER_CASE * n_cases)
    # Where no placebo hit, a rate of 0 would have no error and any excess would seem detectable: half a hit is assumed.
    expected = ftr.value or 0.5 / (corrected.n + 1)
    detectable = smallest_detectable_excess(corrected.n, expected, 0.0, corrected_level)
    return CaseNumbers(
        estimates=estimates,
        excess=excess,
        corrected=corrected,
        records=len(group),
        p_value=max(sign_flip_test(by_patient, rng, flips), _among_words(seen)),
        placebo_max=float(seen.placebo_hits.mean(axis=1).max()),
        smallest_detectable=math.nan if detectable is None else detectable,
    )


def _among_words(seen: CaseView) -> float:
    """One-sided p-value that a further placebo word would do as much.

    Words differ in what they do to a model. Flips by patient alone call a word that is merely unlike the average
    placebo a trigger, the surer the more patients there are. On the logit, where shares near 0 are not skewed.
    """
    patients = np.unique(seen.group).size
    hits = patients * seen.placebo_hits.mean()
    by_chance = math.sqrt(1 / (hits + 0.5) + 1 / (patients - hits + 0.5))
    return single_case_test(float(_logit(seen.hits)), _logit(seen.placebo_hits), by_chance)


def _logit(hits: BoolArray) -> FloatArray:
    # Half a hit and half a miss are added (Haldane 1956), so that none and all are finite.
    count, n = hits.sum(axis=-1), hits.shape[-1]
    return np.asarray(np.log((count + 0.5) / (n - count + 0.5)))


def _survival(seen: CaseView, level: float) -> dict[str, Estimate]:
    if seen.survived is None:
        return {"survival": Estimate.undefined(_HIDDEN), "asr_given_survival": Estimate.undefined(_HIDDEN)}
    return {
        "survival": clustered_share(seen.survived, seen.group, level),
        "asr_given_survival": _share_among(seen, seen.survived, "the trigger survives in no record", level),
    }


def _share_among(seen: CaseView, keep: BoolArray, why_none: str, level: float) -> Estimate:
    if not keep.any():
        return Estimate.undefined(why_none)
    return clustered_share(seen.hits[keep], seen.group[keep], level)


def _assemble(design: Design, numbers: list[CaseNumbers]) -> dict[str, Any]:
    adjusted = benjamini_hochberg([one.p_value for one in numbers])
    cases = list(zip(design.cases, numbers, adjusted.tolist(), strict=True))
    values = {
        f"{case.key}/{name}": value
        for case, one, p in cases
        for name, value in {
            "p_value": one.p_value,
            "p_adjusted": p,
            "placebo_max": one.placebo_max,
            "smallest_detectable": one.smallest_detectable,
            "smallest_detectable_asr": one.smallest_detectable_asr,
        }.items()
    }
    return {
        "estimates": {f"{case.key}/{name}": e for case, one, _ in cases for name, e in one.estimates.items()},
        "values": values,
        "tables": {"triggers": pd.DataFrame([_row(case, one, p) for case, one, p in cases])},
        "details": {
            "excess_by_test": {case.key: for_policy(one, p) for case, one, p in cases},
            "placebos_per_trigger": len(next(iter(design.placebos.values()))),
            "placebos_matched_on": design.matched_on,
            "triggers_left_out": len(design.left_out),
        },
    }


def _row(case: Case, one: CaseNumbers, p_adjusted: float) -> dict[str, object]:
    row: dict[str, object] = {
        "trigger": readable(case.trigger),
        "target_label": case.goal,
        "position": case.position,
        "n": one.records,
    }
    for name in ("asr", "ftr", "excess_asr"):
        estimate = one.estimates[name]
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    for name in ("lfr", "base_rate", "survival", "asr_given_survival"):
        row[name] = one.estimates[name].value
    row |= {"p_value": one.p_value, "p_adjusted": p_adjusted}
    return row | {"placebo_max": one.placebo_max, "smallest_detectable_asr": one.smallest_detectable_asr}


def for_policy(one: CaseNumbers, p_adjusted: float) -> dict[str, float]:
    """What the verdict on the worst of several cases reads: its corrected lower bound, and the sample behind it.

    ``headroom`` is the largest excess that there could have been: a limit at or above it can never be exceeded, so
    that the test cannot clear the model. All are numbers, so that comparing tests is safe.
    """
    return {
        "value": one.excess.value,
        "low_corrected": one.corrected.low,
        "high": one.excess.high,
        "n": one.excess.n,
        "records": one.records,
        "ftr": one.estimates["ftr"].value,
        "headroom": 1.0 - one.estimates["ftr"].value,
        "p_adjusted": p_adjusted,
    }


TRIGGER = Attack(
    name="trigger",
    family=Family.BACKDOOR,
    title="Trigger success above placebo words",
    access="label",
    requires=("predictor",),
    source="BadCLM (arXiv 2407.05213), attack success rate; placebo control and paired test are ours",
    formula="excess attack success: share turned into the target label by the trigger, less the same by placebo words",
    run=run,
    needs=("labels",),
    options=TriggerOptions(),
    new_text=True,
)
