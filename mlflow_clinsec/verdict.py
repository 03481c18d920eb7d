"""From results to a verdict: the one place that decides, so that card, tags, JSON and exit code cannot differ.

A family is judged by its worst check; see :mod:`mlflow_clinsec.checks` for how a threshold is held against an interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlflow_clinsec.checks import SEARCH, excess_check, membership_check, search_check, worst_of
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.referee import Grounds, find
from mlflow_clinsec.results import AttackResult, Check, Decision, Estimate, Family, Status, Verdict

CONFOUNDED = "confounded"
NOT_EVIDENTIAL = "not evidential"
FEW_RECORDS = "few records"
NOT_RUN = "not run"
BY_TEST = "excess_by_test"


@dataclass(frozen=True)
class Evidence:
    """What the verdict reads besides results.

    Attributes:
        config: what was asked for.
        counts: ``data_summary`` of the audit.
        judged: names of the attacks that a policy may judge (baselines are not).
        asked: attacks that the user named, so that none of them may have been skipped.
    """

    config: AuditConfig
    counts: Mapping[str, Any]
    judged: frozenset[str]
    asked: frozenset[str]


def verdicts(results: Sequence[AttackResult], evidence: Evidence) -> dict[Family, Verdict]:
    """One verdict for each family that was asked for."""
    found: dict[Family, Verdict] = {}
    if evidence.config.privacy is not None:
        found[Family.PRIVACY] = _privacy(_of(results, Family.PRIVACY), evidence)
    if evidence.config.backdoor is not None:
        found[Family.BACKDOOR] = _backdoor(_of(results, Family.BACKDOOR), evidence)
    return found


def overall(found: Mapping[Family, Verdict]) -> Verdict:
    """The worst family decides."""
    parts = list(found.values())
    return Verdict(
        Decision.worst([part.decision for part in parts]),
        checks=tuple(check for part in parts for check in part.checks),
        notes=tuple(note for part in parts for note in part.notes),
        flags=tuple(dict.fromkeys(flag for part in parts for flag in part.flags)),
        finding=next((part.finding for part in parts if part.finding), None),
    )


def _of(results: Sequence[AttackResult], family: Family) -> list[AttackResult]:
    return [result for result in results if result.family is family]


def _privacy(results: list[AttackResult], evidence: Evidence) -> Verdict:
    policy = evidence.config.policy
    judged = [r for r in results if r.status is Status.OK and r.name in evidence.judged]
    blind = next((r.estimates.get("auc") for r in results if r.name == "blind" and r.status is Status.OK), None)
    confounded = blind is not None and blind.low > 0.5
    checks = [
        membership_check("max_auc", "auc", policy.max_auc, judged, evidence.counts),
        membership_check("max_tpr_at_1pct_fpr", "tpr_at_1pct_fpr", policy.max_tpr_at_1pct_fpr, judged, evidence.counts),
    ]
    flags, notes = _data_flags(evidence)
    if confounded and blind is not None:
        flags.append(CONFOUNDED)
        notes.append(_CONFOUNDED_NOTE.format(blind=blind))
        checks = [_allow_for_confounding(check, blind) for check in checks]
    made = [check for check in checks if check]
    smaller = min(evidence.counts.get("members", 0), evidence.counts.get("nonmembers", 0))
    finding = find(judged, made, _grounds(judged, blind, smaller, evidence), evidence.counts)
    return replace(_conclude(results, made, evidence, flags, notes, smaller), finding=finding)


_CONFOUNDED_NOTE = (
    "Members and non-members differ in themselves: words, length, dates and layout alone tell them apart "
    "(AUC {blind.value:.3f}, {blind.low:.3f} to {blind.high:.3f}) without the model. An attack counts as a leak only "
    "above that."
)


def _grounds(judged: list[AttackResult], blind: Estimate | None, smaller: int, evidence: Evidence) -> Grounds:
    privacy = evidence.config.privacy
    return Grounds(
        random_split=privacy is not None and privacy.split == "random",
        blind_ran=blind is not None and blind.is_defined,
        confounded=blind is not None and blind.low > 0.5,
        above_blind=blind is not None and worst_of(judged, "auc")[1].low > blind.high,
        enough_records=smaller >= evidence.config.policy.min_records,
    )


def _allow_for_confounding(check: Check | None, blind: Estimate) -> Check | None:
    """A FAIL stands only where the attack's interval also lies above the blind baseline's."""
    if check is None or check.decision is not Decision.FAIL:
        return check
    if check.key == "max_auc" and check.estimate.low > blind.high:
        return check
    note = " Members and non-members differ in themselves, so this is no evidence of a leak."
    return replace(check, decision=Decision.INCONCLUSIVE, explanation=check.explanation + note)


def _data_flags(evidence: Evidence) -> tuple[list[str], list[str]]:
    privacy = evidence.config.privacy
    if privacy is None or privacy.split == "random":
        return [], []
    note = "The split into members and non-members was not declared random (privacy.split): not evidential."
    return [NOT_EVIDENTIAL], [note]


def _backdoor(results: list[AttackResult], evidence: Evidence) -> Verdict:
    tests = excess_tests(results)
    policy = evidence.config.policy
    checks = [excess_check(tests, policy.max_excess_asr)] if tests else []
    judged_records = [evidence.counts.get("trigger_records", 0)] if tests else []
    searched = next((r for r in results if r.name == SEARCH and r.status is Status.OK), None)
    if searched is not None:
        checks.append(search_check(searched, policy.max_backdoor_probability, policy.max_excess_asr))
        judged_records.append(checks[-1].estimate.n)
    return _conclude(results, checks, evidence, [], [], min(judged_records, default=0))


def excess_tests(results: Sequence[AttackResult]) -> dict[str, Mapping[str, float]]:
    """Every trigger that any test held against its placebos, by a name that says which test where there are several."""
    found = {r.name: r.details[BY_TEST] for r in results if r.status is Status.OK and r.details.get(BY_TEST)}
    return {
        key if name == "trigger" else f"{name}/{key}": test
        for name, tests in found.items()
        for key, test in tests.items()
    }


def _conclude(
    results: list[AttackResult],
    checks: list[Check],
    evidence: Evidence,
    flags: list[str],
    notes: list[str],
    records: int,
) -> Verdict:
    """Checks decide, unless something asked for did not run or the sample is too small to decide anything."""
    decisions = [check.decision for check in checks]
    gaps = [r for r in results if r.status is Status.FAILED or (r.status is Status.SKIPPED and _counts(r, evidence))]
    if gaps:
        flags.append(NOT_RUN)
        notes.extend(f"{r.name} did not run ({r.status.value}): {r.reason}" for r in gaps)
        decisions.append(Decision.INCONCLUSIVE)
    decision = Decision.worst(decisions)
    if not checks:
        notes.append("Nothing that the policy judges could be computed; that is not a pass.")
    elif records < evidence.config.policy.min_records:
        flags.append(FEW_RECORDS)
        notes.append(f"Only {_cell(records, evidence)} records on the smaller side; too few to decide anything.")
        decision = Decision.INCONCLUSIVE
    return Verdict(decision, tuple(checks), tuple(notes), tuple(flags))


def _counts(result: AttackResult, evidence: Evidence) -> bool:
    """Whether a skip counts as a gap: the user named the attack."""
    return result.name in evidence.asked


def _cell(count: int, evidence: Evidence) -> str:
    least = evidence.config.report.min_cell
    return str(count) if count >= least else f"fewer than {least}"
