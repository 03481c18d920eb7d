"""Made-up results and what is decided of them."""

from __future__ import annotations

from typing import Any

from mlflow_clinsec.checks import with_corrected_bounds
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.evidence import evidence_of
from mlflow_clinsec.results import AttackResult, Decision, Estimate, Family, Status, Verdict
from mlflow_clinsec.verdict import Decided
from mlflow_clinsec.verdict import decide as decide_audit

COUNTS = {
    "members": 400,
    "nonmembers": 400,
    "member_patients": 200,
    "nonmember_patients": 200,
    "trigger_records": 100,
}
NAMED = {"member": "m", "split": "random", "attacks": ["loss", "min_k"]}
TRIGGERS: dict[str, Any] = {"privacy": None, "backdoor": {"triggers": ["mn"]}}


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half, 400)


def attack(name: str, auc: float, tpr: float = 0.01, half: float = 0.02) -> AttackResult:
    estimates = {"auc": estimate(auc, half), "tpr_at_1pct_fpr": estimate(tpr, half)}

    def wider(metric: str, level: float) -> Estimate:
        return estimate(estimates[metric].value, 2 * half)

    judged = name != "blind"
    return AttackResult(Family.PRIVACY, name, Status.OK, estimates=estimates, at_level=wider, judged=judged)


def decided(results: list[AttackResult], counts: dict[str, Any] = COUNTS, **config: Any) -> Decided:
    parsed = AuditConfig.from_mapping({"privacy": {"member": "m", "split": "random"}} | config)
    return decide_audit(evidence_of(with_corrected_bounds(results), counts, parsed.settings()), parsed.policy)


def verdict(results: list[AttackResult], **given: Any) -> Verdict:
    return decided(results, **given).verdict


def decision(results: list[AttackResult], **given: Any) -> Decision:
    return verdict(results, **given).decision


def trigger(headroom: float = 0.9, **tests: tuple[float, float, float]) -> AttackResult:
    details = {
        name: {
            "value": v,
            "low_corrected": low,
            "high": high,
            "n": 100,
            "records": 100,
            "ftr": 1 - headroom,
            "headroom": headroom,
        }
        for name, (v, low, high) in tests.items()
    }
    return AttackResult(Family.BACKDOOR, "trigger", Status.OK, details={"excess_by_test": details})
