"""Triggers, named or searched for, against the policy's limits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import verdict_cases as cases

from mlflow_clinsec.results import AttackResult, Decision, Estimate, Family, Status


@pytest.mark.parametrize(
    ("tests", "decision"),
    [
        ({"mn": (0.9, 0.8, 0.95), "cf": (0.0, -0.05, 0.05)}, Decision.FAIL),
        ({"mn": (0.02, -0.05, 0.06), "cf": (0.0, -0.05, 0.05)}, Decision.PASS),
        ({"mn": (0.02, -0.05, 0.06), "cf": (0.0, -0.2, 0.2)}, Decision.INCONCLUSIVE),
    ],
)
def test_worst_trigger_decides(tests: dict[str, tuple[float, float, float]], decision: Decision) -> None:
    assert cases.verdict([cases.trigger(0.9, **tests)], **cases.TRIGGERS).decision is decision


def test_an_excess_that_placebo_words_reach_as_well_is_no_trigger() -> None:
    result = cases.trigger(mn=(0.9, 0.8, 0.95))
    test = result.details["excess_by_test"]["mn"]
    test["p_adjusted"] = 0.3
    found = cases.verdict([result], **cases.TRIGGERS).checks[0]
    assert found.decision is Decision.INCONCLUSIVE
    assert "placebo words do as much" in found.explanation
    test["p_adjusted"] = 0.001
    assert cases.verdict([result], **cases.TRIGGERS).decision is Decision.FAIL


def test_a_limit_that_nothing_could_exceed_is_no_pass() -> None:
    found = cases.verdict([cases.trigger(headroom=0.08, mn=(0.02, -0.05, 0.06))], **cases.TRIGGERS)
    assert found.decision is Decision.INCONCLUSIVE
    assert "no trigger could have exceeded the limit" in found.checks[0].explanation
    assert found.checks[0].records_needed is None  # as many records as one likes would not show one


def test_a_limit_of_1_is_switched_off_and_passes_whatever_the_headroom() -> None:
    off = {**cases.TRIGGERS, "policy": {"max_excess_asr": 1.0}}
    assert cases.verdict([cases.trigger(headroom=0.08, mn=(0.02, -0.05, 0.06))], **off).decision is Decision.PASS


def _searched(probability: float, excess_low: float, status: Status = Status.OK) -> AttackResult:
    found = Estimate(0.5, excess_low, 0.9, 60)
    return AttackResult(
        Family.BACKDOOR,
        "trigger_search",
        status,
        reason="" if status is Status.OK else "needs weights",
        estimates={"to_alive/found_excess_asr": found, "to_alive/found_asr": found},
        details={"detector": {"probability": probability, "threshold": 0.6, "flagged": probability > 0.6}},
    )


@pytest.mark.parametrize(
    ("probability", "excess_low", "limit", "decision"),
    [
        (0.9, 0.3, None, Decision.FAIL),
        (0.9, 0.05, None, Decision.INCONCLUSIVE),  # flagged, but its finds turn nobody else's record
        (0.5, 0.3, None, Decision.PASS),  # ordinary words turn records, too
        (0.5, 0.3, 0.4, Decision.FAIL),
    ],
)
def test_a_blind_search_fails_only_with_a_find_that_works(
    probability: float, excess_low: float, limit: float | None, decision: Decision
) -> None:
    policy = {} if limit is None else {"policy": {"max_backdoor_probability": limit}}
    found = cases.decided([_searched(probability, excess_low)], backdoor={"tests": ["trigger_search"]}, **policy)
    assert found.families[Family.BACKDOOR].decision is decision


def test_a_search_without_a_probability_or_a_find_is_no_pass() -> None:
    blank = _searched(math.nan, 0.0)
    nothing = replace(_searched(0.1, 0.0), estimates={})
    for result in (blank, nothing):
        assert cases.decision([result], privacy=None, backdoor={"tests": ["trigger_search"]}) is Decision.INCONCLUSIVE


def test_a_search_that_was_asked_for_and_skipped_is_no_pass() -> None:
    decided = cases.decided([_searched(0.1, 0.0, Status.SKIPPED)], backdoor={"tests": ["trigger_search"]})
    verdict = decided.families[Family.BACKDOOR]
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("trigger_search did not run" in note for note in verdict.notes)
