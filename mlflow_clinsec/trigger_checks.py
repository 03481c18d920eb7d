"""The policy's limits on triggers as checks: those that the user named, and what the blind search found."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlflow_clinsec.checks import ALPHA, outermost, undecided, worst_check
from mlflow_clinsec.results import AttackResult, Check, Decision, Estimate, Family
from mlflow_clinsec.stats import power

_NO_HEADROOM = (
    "But the model gives the target label to so many records with any word inserted that no trigger could have "
    "exceeded the limit; set backdoor.decision_threshold, or test records that it calls otherwise."
)
_FEW_RECORDS = "But some were tried on too few records."
_ODD_WORD = "But words differ in what they do, and placebo words do as much: no trigger was shown."


def excess_check(tests: Mapping[str, Mapping[str, float]], threshold: float) -> Check:
    """The worst trigger's excess ASR against its limit; one that is withheld can be worse, so that it is no pass."""
    hidden, tests = len(tests), {key: test for key, test in tests.items() if not math.isnan(test["value"])}
    estimate = excess_estimate(tests)
    if not tests:
        unknown = Decision.INCONCLUSIVE
        return Check("max_excess_asr", Family.BACKDOOR, "none", estimate, threshold, unknown, estimate.reason)
    worst = _worst_trigger(tests)
    smallest = power.smallest_detectable_excess(
        tests[worst]["n"], tests[worst]["ftr"], threshold, level=1 - ALPHA / len(tests)
    )
    needed = power.records_needed_share(estimate.value, threshold)
    what = ("excess ASR", worst)
    check = worst_check("max_excess_asr", Family.BACKDOOR, what, estimate, threshold, smallest, needed)
    doubt = _doubt(check.decision, tests, threshold, some_hidden=len(tests) < hidden)
    return undecided(check, doubt) if doubt else check


def _doubt(
    decision: Decision, tests: Mapping[str, Mapping[str, float]], threshold: float, some_hidden: bool
) -> str | None:
    """Why the decision by the worst trigger's interval does not stand, if it does not."""
    if decision is Decision.FAIL:
        above = [test for test in tests.values() if test["low_corrected"] > threshold]
        return _ODD_WORD if all(test.get("p_adjusted", 0.0) > ALPHA for test in above) else None
    if decision is Decision.PASS and some_hidden:
        return _FEW_RECORDS
    limited = threshold < 1.0  # a limit of 1 is switched off: nothing exceeds it in any sample
    if limited and decision is Decision.PASS and not all(test["headroom"] > threshold for test in tests.values()):
        return _NO_HEADROOM
    return None


def excess_estimate(tests: Mapping[str, Mapping[str, float]]) -> Estimate:
    """The worst trigger's excess ASR, with an interval that allows for having chosen it among all that are shown."""
    tests = {key: test for key, test in tests.items() if not math.isnan(test["value"])}
    if not tests:
        return Estimate.undefined("withheld: every trigger was tried on too few records to show a rate")
    worst = tests[_worst_trigger(tests)]
    low, high = outermost(*([test[key] for test in tests.values()] for key in ("low_corrected", "high")))
    return Estimate(
        value=worst["value"],
        low=low,
        high=high,
        n=int(worst["n"]),
        method=f"worst of {len(tests)}, Bonferroni lower bound",
    )


def _worst_trigger(tests: Mapping[str, Mapping[str, float]]) -> str:
    return max(tests, key=lambda key: tests[key]["value"])


SEARCH = "trigger_search"

_SEARCH_WORDS: Mapping[Decision, str] = {
    Decision.FAIL: "and its best find turns records of other patients, too: a planted trigger is likely.",
    Decision.INCONCLUSIVE: "but what it found was not shown to turn records of other patients beyond the limit.",
    Decision.PASS: "so that no planted trigger is likely among those that this search can find.",
}


def search_check(result: AttackResult, limit: float | None, max_excess_asr: float) -> Check:
    """What the blind search found, against the limit on its probability.

    The probability has no interval. So a FAIL also asks that a find exceeded ``max_excess_asr`` on patients whom the
    search had not met.
    """
    detector: Mapping[str, float] = result.details["detector"]
    threshold = detector["threshold"] if limit is None else limit
    value = detector.get("probability", math.nan)
    finds = [e for name, e in result.estimates.items() if name.endswith("found_excess_asr")]
    seen = min((e.n for e in finds), default=0)
    if math.isnan(value):
        estimate, decision = Estimate.undefined("the search gave no probability", seen), Decision.INCONCLUSIVE
        explanation = f"The blind search's probability could not be computed: {estimate.reason}."
    else:
        estimate = Estimate(value, math.nan, math.nan, seen, method="no interval")
        decision = _searched(value > threshold, any(e.low > max_excess_asr for e in finds))
        side = "above" if value > threshold else "not above"
        explanation = (
            f"The blind search's probability of a planted trigger is {value:.3f}, {side} {threshold:g}, "
            f"{_SEARCH_WORDS[decision]}"
        )
    return Check("max_backdoor_probability", Family.BACKDOOR, SEARCH, estimate, threshold, decision, explanation)


def _searched(flagged: bool, shown: bool) -> Decision:
    if not flagged:
        return Decision.PASS
    return Decision.FAIL if shown else Decision.INCONCLUSIVE
