"""From evidence to a verdict: the one place that decides, so that card, tags, JSON, SARIF and exit code cannot differ.

A family is judged by its worst check; see :mod:`mlflow_clinsec.checks` for how a threshold is held against an interval
and :mod:`mlflow_clinsec.limits` for limits on single metrics and for comparison with a baseline. The evaluator and the
gate call the same :func:`decide`, on evidence of the same form (:mod:`mlflow_clinsec.evidence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlflow_clinsec.checks import is_judged, membership_check, undecided, worst_of
from mlflow_clinsec.evidence import Evidence
from mlflow_clinsec.excess import excess_tests
from mlflow_clinsec.limits import baseline_checks, metric_checks
from mlflow_clinsec.policy import PolicyConfig
from mlflow_clinsec.readings import readings
from mlflow_clinsec.referee import Grounds, find
from mlflow_clinsec.results import SAME_ANSWERS, AttackResult, Check, Decision, Estimate, Family, Status, Verdict
from mlflow_clinsec.trigger_checks import SEARCH, excess_check, search_check

CONFOUNDED = "confounded"
NOT_EVIDENTIAL = "not evidential"
FEW_RECORDS = "few records"
NOT_RUN = "not run"
NON_DETERMINISTIC = "non-deterministic"


@dataclass(frozen=True)
class Decided:
    """The overall verdict and those of the families that were asked for."""

    verdict: Verdict
    families: Mapping[Family, Verdict]


@dataclass(frozen=True)
class _Case:
    """One family before its verdict: evidence, policy, and the checks on single metrics that concern it."""

    family: Family
    evidence: Evidence
    policy: PolicyConfig
    further: tuple[Check, ...]

    @property
    def results(self) -> list[AttackResult]:
        return self.evidence.of(self.family)


def decide(evidence: Evidence, policy: PolicyConfig, baseline: Evidence | None = None) -> Decided:
    """Hold an audit against a policy.

    Args:
        evidence: of an audit that has just run, or read back from its ``audit.json``.
        policy: the limits.
        baseline: evidence of the audit that ``policy.baseline`` compares with.
    """
    found = readings(evidence)
    further = list(metric_checks(policy.metrics, found))
    if policy.baseline is not None:
        further += baseline_checks(policy.baseline, found, readings(baseline) if baseline else None)
    judge = {Family.PRIVACY: _privacy, Family.BACKDOOR: _backdoor}
    families = {
        family: judge[family](_Case(family, evidence, policy, tuple(c for c in further if c.family is family)))
        for family in evidence.families
    }
    stray = [check for check in further if check.family not in evidence.families]
    return Decided(_overall(families, stray, _absent(evidence, policy)), families)


def _overall(families: Mapping[Family, Verdict], stray: Sequence[Check], absent: Sequence[str]) -> Verdict:
    """The worst family decides; what the policy wants of a family that was not audited is never a pass."""
    parts = list(families.values())
    decisions = [part.decision for part in parts] + [check.decision for check in stray]
    flags = [flag for part in parts for flag in part.flags] + [NOT_RUN] * bool(absent)
    return Verdict(
        Decision.worst([*decisions, *[Decision.INCONCLUSIVE] * bool(absent)]),
        checks=(*(check for part in parts for check in part.checks), *stray),
        notes=(*(note for part in parts for note in part.notes), *absent),
        flags=tuple(dict.fromkeys(flags)),
        finding=next((part.finding for part in parts if part.finding), None),
    )


def _absent(evidence: Evidence, policy: PolicyConfig) -> list[str]:
    """A note for each test that must have run and was never asked for."""
    known = {name for result in evidence.results for name in _names(result)}
    return [
        f"{name} did not run: the policy asks for it, the audit did not."
        for name in policy.must_run
        if name not in known
    ]


def _names(result: AttackResult) -> tuple[str, str]:
    return result.name, f"{result.family.value}/{result.name}"


def _privacy(case: _Case) -> Verdict:
    counts, policy = case.evidence.counts, case.policy
    judged = [result for result in case.results if is_judged(result)]
    blind = next((r.estimates.get("auc") for r in case.results if r.name == "blind" and r.status is Status.OK), None)
    checks = [
        membership_check("max_auc", "auc", policy.max_auc, judged, counts),
        membership_check("max_tpr_at_1pct_fpr", "tpr_at_1pct_fpr", policy.max_tpr_at_1pct_fpr, judged, counts),
    ]
    made, further = [check for check in checks if check], list(case.further)
    flags, notes = _data_flags(case.evidence)
    if blind is not None and blind.low > 0.5:
        flags.append(CONFOUNDED)
        notes.append(_CONFOUNDED_NOTE.format(blind=blind))
        made = [_allow_for_confounding(check, blind) for check in made]
        further = [_allow_for_confounding(c, blind) if _of_attack(c, judged) else c for c in further]
    smaller = min(counts.get("members", 0), counts.get("nonmembers", 0))
    finding = find(judged, made, _grounds(judged, blind, smaller, case), counts)
    return replace(_conclude(case, made, further, flags, notes, smaller), finding=finding)


def _of_attack(check: Check, judged: Sequence[AttackResult]) -> bool:
    """Whether a check on one metric concerns an attack, and not the baseline or a canary."""
    name = check.subject.split("/")[1]
    return name.startswith("worst_") or name in {result.name for result in judged}


_CONFOUNDED_NOTE = (
    "Members and non-members differ in themselves: words, length, dates and layout alone tell them apart "
    "(AUC {blind.value:.3f}, {blind.low:.3f} to {blind.high:.3f}) without the model. An attack counts as a leak only "
    "above that."
)


def _grounds(judged: list[AttackResult], blind: Estimate | None, smaller: int, case: _Case) -> Grounds:
    return Grounds(
        random_split=case.evidence.random_split,
        blind_ran=blind is not None and blind.is_defined,
        confounded=blind is not None and blind.low > 0.5,
        above_blind=blind is not None and worst_of(judged, "auc")[1].low > blind.high,
        enough_records=smaller >= case.policy.min_records,
    )


def _allow_for_confounding(check: Check, blind: Estimate) -> Check:
    """A FAIL stands only where the attack's interval also lies above the blind baseline's."""
    if check.decision is not Decision.FAIL or check.bound == "min":
        return check
    if _is_auc(check) and check.estimate.low > blind.high:
        return check
    return undecided(check, "Members and non-members differ in themselves, so this is no evidence of a leak.")


def _is_auc(check: Check) -> bool:
    return check.key == "max_auc" or (
        check.key.startswith("metrics.") and check.subject.endswith(("/auc", "worst_auc"))
    )


def _data_flags(evidence: Evidence) -> tuple[list[str], list[str]]:
    if evidence.random_split:
        return [], []
    note = "The split into members and non-members was not declared random (privacy.split): not evidential."
    return [NOT_EVIDENTIAL], [note]


def _backdoor(case: _Case) -> Verdict:
    tests, policy = excess_tests(case.results), case.policy
    checks = [excess_check(tests, policy.max_excess_asr)] if tests else []
    judged_records = [case.evidence.counts.get("trigger_records", 0)] if tests else []
    searched = next((r for r in case.results if r.name == SEARCH and r.status is Status.OK), None)
    if searched is not None:
        checks.append(search_check(searched, policy.max_backdoor_probability, policy.max_excess_asr))
        judged_records.append(checks[-1].estimate.n)
    return _conclude(case, checks, case.further, [], [], min(judged_records or _records(case.further), default=0))


def _records(checks: Sequence[Check]) -> list[int]:
    return [check.estimate.n for check in checks if check.estimate.is_defined]


def _conclude(
    case: _Case, own: Sequence[Check], further: Sequence[Check], flags: list[str], notes: list[str], records: int
) -> Verdict:
    """Checks decide, unless something asked for did not run or the sample is too small to decide anything.

    Args:
        own: checks of the limits that every policy has.
        further: checks on single metrics. Alone they pass nothing whose own tests were skipped.
    """
    checks = [*own, *further]
    decisions = [check.decision for check in checks]
    gaps = list(_gaps(case))
    if gaps:
        flags.append(NOT_RUN)
        notes.extend(f"{r.name} did not run ({r.status.value}): {r.reason}" for r in gaps)
        decisions.append(Decision.INCONCLUSIVE)
    if any(result.name == SAME_ANSWERS for result in gaps):
        flags.append(NON_DETERMINISTIC)
    if further and not own and any(result.status is Status.SKIPPED for result in case.results):
        flags.append(NOT_RUN)
        notes.append("What the policy always judges was skipped; limits on single metrics alone are not a pass.")
        decisions.append(Decision.INCONCLUSIVE)
    decision = Decision.worst(decisions)
    if not checks:
        notes.append("Nothing that the policy judges could be computed; that is not a pass.")
    elif records < case.policy.min_records:
        flags.append(FEW_RECORDS)
        notes.append(f"Too few records to decide anything: {_cell(records, case.evidence)} where they are fewest.")
        decision = Decision.INCONCLUSIVE
    return Verdict(decision, tuple(checks), tuple(notes), tuple(dict.fromkeys(flags)))


def _gaps(case: _Case) -> Iterator[AttackResult]:
    """What failed, and what was skipped although the user named it or the policy says that it must run."""
    asked = {*case.evidence.named, *case.policy.must_run}
    for result in case.results:
        skipped = result.status is Status.SKIPPED and asked & set(_names(result))
        if result.status is Status.FAILED or skipped:
            yield result


def _cell(count: int, evidence: Evidence) -> str:
    least = evidence.min_cell
    return str(count) if count >= least else f"fewer than {least}"
