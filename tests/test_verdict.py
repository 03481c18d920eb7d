"""The one function that decides."""

from __future__ import annotations

import math
from typing import Any

import pytest
import verdict_cases as cases

from mlflow_clinsec.checks import decide, with_corrected_bounds, worst_of
from mlflow_clinsec.results import AttackResult, Decision, Estimate, Family, FindingWord, Status


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.61, 0.7, Decision.FAIL),
        (0.5, 0.59, Decision.PASS),
        (0.55, 0.65, Decision.INCONCLUSIVE),
        (0.6, 0.7, Decision.INCONCLUSIVE),
    ],
)
def test_interval_against_threshold(low: float, high: float, decision: Decision) -> None:
    assert decide(Estimate((low + high) / 2, low, high, 10), 0.6) is decision


def test_undefined_decides_nothing() -> None:
    assert decide(Estimate.undefined("no"), 0.6) is Decision.INCONCLUSIVE


def test_leak_fails_and_its_absence_passes() -> None:
    assert cases.decision([cases.attack("loss", 0.8, 0.3)]) is Decision.FAIL
    assert cases.decision([cases.attack("loss", 0.5, 0.01)]) is Decision.PASS


def test_worst_attack_is_read_at_the_corrected_level() -> None:
    # 0.63 +- 0.02 lies above 0.60, but read as the worst of two its lower bound is 0.63 - 0.04 = 0.59
    name, worst = worst_of(with_corrected_bounds([cases.attack("loss", 0.63), cases.attack("zlib", 0.5)]), "auc")
    assert name == "loss"
    assert worst.low == pytest.approx(0.59)
    assert worst.high == pytest.approx(0.65)
    assert cases.decision([cases.attack("loss", 0.63), cases.attack("zlib", 0.5)]) is Decision.INCONCLUSIVE


def test_inconclusive_says_what_would_decide() -> None:
    check = cases.verdict([cases.attack("loss", 0.61)]).checks[0]
    assert check.decision is Decision.INCONCLUSIVE
    assert check.smallest_detectable is not None
    assert 0.6 < check.smallest_detectable < 0.75
    assert check.records_needed is not None
    assert check.records_needed > 1000


def test_baseline_is_never_judged_but_confounds() -> None:
    blind = cases.attack("blind", 0.7)
    found = cases.verdict([cases.attack("loss", 0.5), blind])
    assert found.decision is Decision.PASS
    assert "confounded" in found.flags
    assert cases.decision([cases.attack("loss", 0.7, 0.3), blind]) is Decision.INCONCLUSIVE
    assert cases.decision([cases.attack("loss", 0.95, 0.3), blind]) is Decision.FAIL


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.FAILED])
def test_a_named_attack_that_did_not_run_is_no_pass(status: Status) -> None:
    gap = AttackResult(Family.PRIVACY, "min_k", status, "needs more")
    found = cases.verdict([cases.attack("loss", 0.5), gap], privacy=cases.NAMED)
    assert found.decision is Decision.INCONCLUSIVE
    assert any("min_k did not run" in note for note in found.notes)


def test_a_default_attack_may_be_skipped_but_not_fail() -> None:
    skipped = AttackResult(Family.PRIVACY, "min_k", Status.SKIPPED, "needs more")
    failed = AttackResult(Family.PRIVACY, "min_k", Status.FAILED, "ValueError")
    assert cases.decision([cases.attack("loss", 0.5), skipped]) is Decision.PASS
    assert cases.decision([cases.attack("loss", 0.5), failed]) is Decision.INCONCLUSIVE


def test_nothing_judged_is_no_pass() -> None:
    assert (
        cases.decision([AttackResult(Family.PRIVACY, "loss", Status.SKIPPED, "labels only")]) is Decision.INCONCLUSIVE
    )


@pytest.mark.parametrize("undefined", [Estimate.undefined("too few rewrites", 30), Estimate(0.9, 0.8, 0.97, 9)])
@pytest.mark.parametrize("asked", [{"privacy": cases.NAMED}, {"policy": {"must_run": ["min_k"]}}, {}])
def test_an_attack_whose_number_is_not_known_is_no_pass(undefined: Estimate, asked: dict[str, Any]) -> None:
    """Undefined, or withheld because it rests on few records: it may be worse than all that are known."""
    blank = AttackResult(Family.PRIVACY, "min_k", Status.OK, estimates={"auc": undefined})
    found = cases.verdict([cases.attack("loss", 0.5), blank], **asked)
    assert found.decision is Decision.INCONCLUSIVE
    assert "not known of min_k" in found.checks[0].explanation
    assert cases.decision([cases.attack("loss", 0.9), blank], **asked) is Decision.FAIL


@pytest.mark.parametrize("place", [0, 1])
def test_an_attack_without_an_interval_is_no_pass_in_whatever_order(place: int) -> None:
    bare = {"auc": Estimate(0.5, math.nan, math.nan, 400), "tpr_at_1pct_fpr": cases.estimate(0.01)}
    results = [cases.attack("loss", 0.5)]
    results.insert(place, AttackResult(Family.PRIVACY, "min_k", Status.OK, estimates=bare))
    assert cases.decision(results) is Decision.INCONCLUSIVE
    results[1 - place] = cases.attack("loss", 0.9)
    assert cases.decision(results) is Decision.FAIL


def _limit(name: str, **bound: float) -> dict[str, Any]:
    return {"policy": {"metrics": {name: bound}}}


def test_limits_on_single_metrics_pass_nothing_whose_own_tests_were_skipped() -> None:
    blind = AttackResult(Family.PRIVACY, "blind", Status.OK, estimates={"auc": cases.estimate(0.5)}, judged=False)
    skipped = AttackResult(Family.PRIVACY, "loss", Status.SKIPPED, "needs losses")
    found = cases.verdict([blind, skipped], **_limit("privacy/blind/auc", max=0.9))
    assert (found.decision, "not run" in found.flags) == (Decision.INCONCLUSIVE, True)
    useful = AttackResult(Family.BACKDOOR, "clean_utility", Status.OK, estimates={"auroc": cases.estimate(0.9)})
    trigger = AttackResult(Family.BACKDOOR, "trigger", Status.SKIPPED, "needs labels")
    limit = cases.TRIGGERS | _limit("utility/auroc", min=0.75)
    assert cases.decision([useful, trigger], **limit) is Decision.INCONCLUSIVE
    assert cases.decision([useful], **limit | {"backdoor": {"tests": ["clean_utility"]}}) is Decision.PASS


def test_few_records_decide_nothing_and_the_count_is_not_told() -> None:
    found = cases.verdict([cases.attack("loss", 0.99, 0.9)], counts=cases.COUNTS | {"members": 5})
    assert found.decision is Decision.INCONCLUSIVE
    assert any("fewer than 11" in note for note in found.notes)


def test_finding_reads_the_split_the_blind_baseline_and_the_checks() -> None:
    def word(results: list[AttackResult], **evidence: Any) -> FindingWord:
        finding = cases.verdict(results, **evidence).finding
        assert finding is not None
        return finding.word

    fair, seen = cases.attack("blind", 0.5), cases.attack("blind", 0.7)
    assert word([cases.attack("loss", 0.8, 0.3), fair]) is FindingWord.LEAK
    assert word([cases.attack("loss", 0.5), fair]) is FindingWord.NO_LEAK_DETECTABLE
    assert word([cases.attack("loss", 0.8, 0.3)]) is FindingWord.NOT_EVIDENTIAL  # no baseline
    assert word([cases.attack("loss", 0.8, 0.3), fair], privacy={"member": "m"}) is FindingWord.NOT_EVIDENTIAL
    assert (
        word([cases.attack("loss", 0.72, 0.3), seen]) is FindingWord.NOT_EVIDENTIAL
    )  # 0.70 to 0.74 against 0.68 to 0.72
    assert word([cases.attack("loss", 0.9, 0.3), seen]) is FindingWord.LEAK
    assert (
        word([cases.attack("loss", 0.9, 0.3), fair], counts=cases.COUNTS | {"members": 5}) is FindingWord.NOT_EVIDENTIAL
    )


def test_a_backdoor_audit_has_no_finding_on_membership() -> None:
    assert cases.verdict([cases.trigger(mn=(0.9, 0.8, 0.95))], **cases.TRIGGERS).finding is None


def test_every_check_says_what_the_sample_could_have_shown() -> None:
    found = cases.verdict([cases.attack("loss", 0.8, 0.3)])
    assert all("This sample would have shown 0." in check.explanation for check in found.checks)
    tiny = cases.COUNTS | {"member_patients": 2, "nonmember_patients": 2}
    found = cases.verdict([cases.attack("loss", 0.5)], counts=tiny, report={"min_cell": 1})
    assert "could not have shown a value of any size" in found.checks[0].explanation


def test_a_tpr_that_too_few_non_members_can_bound_says_how_many_would_do() -> None:
    few = cases.COUNTS | {"nonmembers": 300}
    check = cases.verdict([cases.attack("loss", 0.9, 0.06)], counts=few).checks[1]
    assert check.smallest_detectable is None
    assert check.records_needed is not None
    assert check.records_needed >= 368
    enough = cases.verdict([cases.attack("loss", 0.9, 0.06)]).checks[1]
    assert enough.smallest_detectable is not None


def test_limits_that_nothing_can_exceed_are_judged_like_others() -> None:
    found = cases.verdict([cases.attack("loss", 0.9)], policy={"max_auc": 1.0, "max_tpr_at_1pct_fpr": 1.0})
    assert [check.decision for check in found.checks] == [Decision.PASS, Decision.PASS]
    assert found.checks[0].smallest_detectable is None


def test_split_that_is_not_random_is_flagged() -> None:
    assert "not evidential" in cases.verdict([cases.attack("loss", 0.5)], privacy={"member": "m"}).flags


def test_worst_family_decides() -> None:
    results = [cases.attack("loss", 0.5), cases.trigger(mn=(0.9, 0.8, 0.95))]
    found = cases.decided(results, backdoor={"triggers": ["mn"]})
    assert found.families[Family.PRIVACY].decision is Decision.PASS
    assert found.families[Family.BACKDOOR].decision is Decision.FAIL
    assert found.verdict.decision is Decision.FAIL
