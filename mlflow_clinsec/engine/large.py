"""``run_large_audit``: the audit of records that are read from ``data_path``, by one worker here or by many on Ray.

Workers turn records into numbers; here these are put into the records' order and judged. Since the parts, and the
batches within them, are the same for any number of workers, so is every score, to the last bit, and all that follows.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.attack import Attack, run_attack
from mlflow_clinsec.audit import Began, Plan, conclude, derived_generator, make_plan, membership_data, unseen_records
from mlflow_clinsec.backdoor import table as backdoor_table
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine.aggregate import on_numbers, records_of
from mlflow_clinsec.engine.digests import on_both_sides
from mlflow_clinsec.engine.division import run_on_sample
from mlflow_clinsec.engine.gather import checkpoint_of, gathered
from mlflow_clinsec.engine.loading import make_worker
from mlflow_clinsec.engine.rows import MEMBER, RECORD, TEXT, Rows
from mlflow_clinsec.engine.sample import read_sample, sampled
from mlflow_clinsec.engine.shards import Part, parts_of
from mlflow_clinsec.engine.worker import Worker
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.evidence import Evidence
from mlflow_clinsec.privacy import table as privacy_table
from mlflow_clinsec.referee import with_holm
from mlflow_clinsec.results import AttackResult, AuditReport, Status

SAMPLED = "sampled_records"
"""Value of a result that was found on a sample: how many records that was."""
COPIES_ONLY = "copies only: records whose words are the same; near copies are looked for in the sample alone"


def run_large_audit(config: AuditConfig, model: Any, baseline: Evidence | None = None) -> AuditReport:
    """Audit a model on the records of ``config.data_path``.

    Args:
        model: as MLflow hands it to an evaluator; workers on Ray load it anew by its URI.
        baseline: the audit that ``policy.baseline`` compares with.

    Raises:
        ConfigError, DataError, TargetError: something asked for can never work.
        EngineError: a part could not be scored.
    """
    began = Began(datetime.now(timezone.utc), time.monotonic())
    if model is None or config.data_path is None:
        raise ConfigError("data_path: records are read from files to be scored by a model; give one.")
    parts = parts_of(config.data_path, config.scale.part_records)
    own = make_worker(config, model, secrets.token_bytes(32))
    try:
        _refuse_early(own)
        checkpoint = checkpoint_of(config, model, own.target)
        own = own if checkpoint is None else replace(own, key=checkpoint.key)
        return _judged(gathered(parts, own, model, checkpoint), parts, own, began, baseline)
    finally:
        own.target.close()


def _refuse_early(own: Worker) -> None:
    """Refuse unknown names of attacks and options before anything is scored."""
    if own.config.privacy is not None:
        privacy_table.select(own.config.privacy, own.target)
    if own.config.backdoor is not None:
        backdoor_table.select(own.config.backdoor, own.target)


def _judged(rows: Rows, parts: Sequence[Part], own: Worker, began: Began, baseline: Evidence | None) -> AuditReport:
    config, target = own.config, own.target
    rows, counts = _kept(rows, own)
    data = records_of(rows, target.labels, config.group is not None)
    _refuse_shared_patients(data)
    chosen = sampled(data, config.scale.sample, derived_generator(config.seed, "sample"))
    sample = read_sample(rows.columns[RECORD][chosen], parts, own.columns, config)
    unseen = unseen_records(sample)
    plan = make_plan(config, unseen, target)
    there = run_on_sample(plan.privacy)
    if any(attack.requires for attack in (*there, *plan.backdoor)):
        own.warm_up()
    sample, _ = membership_data(Plan(there, ()), sample, target, config) if there else (sample, {})
    counts |= {"sample": {"records": len(sample), "unseen_records": len(unseen)}}
    results = [
        *(_privacy_result(attack, attack in there, rows, data, sample, own) for attack in plan.privacy),
        *(_sampled_result(attack, unseen, own) for attack in plan.backdoor),
    ]
    judged = frozenset(attack.name for attack in plan.attacks if attack.judged)
    return conclude(with_holm(results, judged), counts, target, config, began, baseline)


def _privacy_result(
    attack: Attack, on_sample: bool, rows: Rows, data: AuditData, sample: AuditData, own: Worker
) -> AttackResult:
    if on_sample:
        return _sampled_result(attack, sample, own)
    return run_attack(on_numbers(attack, rows), data, own.target, derived_generator(own.config.seed, attack.name))


def _sampled_result(attack: Attack, sample: AuditData, own: Worker) -> AttackResult:
    result = run_attack(attack, sample, own.target, derived_generator(own.config.seed, attack.name))
    if result.status is not Status.OK:
        return result
    return replace(result, values={**result.values, SAMPLED: float(len(sample))})


def _kept(rows: Rows, own: Worker) -> tuple[Rows, dict[str, Any]]:
    """Records without copies on the other side of the split, and the counts for the report."""
    records = records_of(rows, None, own.config.group is not None)
    counts: dict[str, Any] = {"records": len(records), "patients": _patients(records.group)}
    member = rows.columns.get(MEMBER)
    if member is None:
        return rows, counts
    overlap = on_both_sides(rows.columns[TEXT], member)
    kept = rows.select(~overlap)
    left = kept.columns[MEMBER]
    if left.all() or not left.any():
        raise DataError("privacy.member: once copies are left out, membership needs records of both kinds.")
    counts["overlap"] = {
        "members": int((overlap & member).sum()),
        "nonmembers": int((overlap & ~member).sum()),
    }
    counts["overlap_guard"] = COPIES_ONLY
    return kept, counts | _side_counts(records.group[~overlap], left)


def _side_counts(group: NDArray[np.int64], member: NDArray[np.bool_]) -> dict[str, int]:
    return {
        "members": int(member.sum()),
        "nonmembers": int((~member).sum()),
        "member_patients": _patients(group[member]),
        "nonmember_patients": _patients(group[~member]),
    }


def _patients(group: NDArray[np.int64]) -> int:
    return int(np.unique(group).size)


def _refuse_shared_patients(data: AuditData) -> None:
    """A patient on both sides makes every patient-level number meaningless."""
    if data.member is None:
        return
    shared = np.intersect1d(data.group[data.member], data.group[~data.member]).size
    if shared:
        raise DataError(
            f"privacy.group: {shared} patients stand among both members and non-members; "
            "split by patient, or leave the mixed patients out."
        )
