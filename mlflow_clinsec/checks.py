"""One policy threshold held against one interval: the checks that verdicts are made of.

The worst of m attacks is chosen after looking, so that its lower bound is read at level 1 - 0.05 / m (Bonferroni):
m attacks whose true values lie at the threshold fail it at most 2.5% of the time. Its upper bound needs no such care:
to pass, every attack's own interval must lie below the threshold. Whether there is any leak at all is another
question, which :mod:`mlflow_clinsec.referee` answers from p-values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mlflow_clinsec.results import AttackResult, Check, Decision, Estimate, Family, Status
from mlflow_clinsec.stats import power
from mlflow_clinsec.stats.bootstrap import FPRS
from mlflow_clinsec.stats.roc import fewest_to_bound

ALPHA = 0.05

METRIC_NAMES: Mapping[str, str] = {"auc": "AUC", "tpr_at_1pct_fpr": "TPR at 1% FPR"}
"""Metrics that a policy judges, as people write them."""


def decide(estimate: Estimate, threshold: float, bound: Literal["max", "min"] = "max") -> Decision:
    """Hold one interval against one threshold: an upper limit, or a lower one."""
    if not estimate.is_defined:
        return Decision.INCONCLUSIVE
    above, below = (Decision.FAIL, Decision.PASS) if bound == "max" else (Decision.PASS, Decision.FAIL)
    if estimate.low > threshold:
        return above
    return below if estimate.high < threshold else Decision.INCONCLUSIVE


def with_corrected_bounds(results: Sequence[AttackResult]) -> list[AttackResult]:
    """The results with ``low_corrected`` beside each interval that one of them may be the worst by."""
    judged = [r for r in results if is_judged(r)]
    levels = {metric: 1 - ALPHA / max(len(_defined(judged, metric)), 1) for metric in METRIC_NAMES}
    return [_corrected(r, levels) if is_judged(r) else r for r in results]


def is_judged(result: AttackResult) -> bool:
    """Whether a membership attack ran and is held against the policy; baselines and canaries are not."""
    return result.family is Family.PRIVACY and result.status is Status.OK and result.judged


def _corrected(result: AttackResult, levels: Mapping[str, float]) -> AttackResult:
    read = result.at_level
    found = {
        metric: replace(result.estimates[metric], low_corrected=read(metric, level).low)
        for metric, level in levels.items()
        if read is not None and _defined([result], metric)
    }
    return replace(result, estimates={**result.estimates, **found}) if found else result


def _defined(results: Sequence[AttackResult], metric: str) -> list[AttackResult]:
    return [r for r in results if metric in r.estimates and r.estimates[metric].is_defined]


def membership_check(
    key: str, metric: str, threshold: float, judged: list[AttackResult], counts: Mapping[str, Any]
) -> Check | None:
    """The worst attack on one metric against its limit; one whose number is not known can be worse: no pass."""
    if not judged:
        return None
    worst, estimate = worst_of(judged, metric)
    computed = len(_defined(judged, metric))
    smallest, needed = _planning(key, estimate, threshold, counts, level=1 - ALPHA / max(computed, 1))
    what = (METRIC_NAMES[metric], worst)
    check = worst_check(key, Family.PRIVACY, what, estimate, threshold, smallest, needed)
    unknown = [r.name for r in judged if metric in r.estimates and not r.estimates[metric].is_defined]
    if check.decision is Decision.PASS and unknown:
        return undecided(check, f"But it is not known of {', '.join(unknown)}.")
    return check


def worst_check(
    key: str,
    family: Family,
    what: tuple[str, str],
    estimate: Estimate,
    threshold: float,
    smallest: float | None,
    needed: int | None,
) -> Check:
    """The worst of several estimates held against an upper limit.

    Args:
        what: the metric as people write it, and the attack or trigger that was worst.
        smallest: smallest value that this sample would have shown to lie above the limit.
        needed: records that would decide; kept only where the interval does not decide by itself.
    """
    decision = decide(estimate, threshold)
    return Check(
        key,
        family,
        what[1],
        estimate,
        threshold,
        decision,
        _explain(*what, estimate, threshold, decision, smallest),
        smallest_detectable=smallest,
        records_needed=needed if decision is Decision.INCONCLUSIVE else None,
    )


def undecided(check: Check, doubt: str) -> Check:
    """The check as INCONCLUSIVE: its interval decides, and yet something else speaks against what it says."""
    return replace(check, decision=Decision.INCONCLUSIVE, explanation=f"{check.explanation} {doubt}")


def worst_of(results: Sequence[AttackResult], metric: str) -> tuple[str, Estimate]:
    """The attack with the largest value, and an interval that allows for having chosen it among all.

    Args:
        results: with their :func:`with_corrected_bounds`.
        metric: one of ``METRIC_NAMES``.
    """
    defined = _defined(results, metric)
    if not defined:
        reasons = [r.estimates[metric].reason for r in results if metric in r.estimates]
        return "none", Estimate.undefined(reasons[0] if reasons else "no attack gives it")
    worst = max(defined, key=lambda r: r.estimates[metric].value)
    bounds = [
        estimate.low if (low := estimate.low_corrected) is None else low
        for estimate in (r.estimates[metric] for r in defined)
    ]
    low, high = outermost(bounds, [r.estimates[metric].high for r in defined])
    return worst.name, replace(
        worst.estimates[metric],
        low=low,
        high=high,
        method=f"worst of {len(defined)}, Bonferroni lower bound",
        low_corrected=None,
    )


def outermost(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """The largest lower bound, and the largest upper one; NaN where one upper bound is not known: it may be larger."""
    known = [low for low in lows if not math.isnan(low)]
    return max(known, default=math.nan), math.nan if any(map(math.isnan, highs)) else max(highs)


def _planning(
    key: str, estimate: Estimate, threshold: float, counts: Mapping[str, Any], level: float
) -> tuple[float | None, int | None]:
    """Smallest value this sample would have shown, and records that would decide at the value seen.

    Patients are counted, not notes: the careful reading when notes of one patient resemble each other.
    """
    inside, outside = counts.get("member_patients", 0), counts.get("nonmember_patients", 0)
    if min(inside, outside) < 1:
        return None, None
    if key == "max_auc":
        return (
            power.smallest_detectable_auc(inside, outside, threshold, level),
            power.records_needed_auc(estimate.value, threshold, level),
        )
    needed = power.records_needed_share(estimate.value, threshold, level)
    fewest = fewest_to_bound(FPRS["tpr_at_1pct_fpr"])
    return (
        power.smallest_detectable_tpr(inside, threshold, level) if counts.get("nonmembers", 0) >= fewest else None,
        None if needed is None else max(needed, fewest),
    )


_READING: Mapping[Decision, str] = {
    Decision.FAIL: "lies above the limit",
    Decision.PASS: "lies below the limit",
    Decision.INCONCLUSIVE: "does not decide against the limit",
}


def _explain(
    what: str, subject: str, estimate: Estimate, threshold: float, decision: Decision, smallest: float | None
) -> str:
    """A check in one sentence, and what the sample could have shown."""
    if not estimate.is_defined:
        return f"{what} could not be computed: {estimate.reason}."
    shown = "a value of any size" if smallest is None else f"{smallest:.3f}"
    could = "could not have shown" if smallest is None else "would have shown"
    return (
        f"Worst {what} is {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}, {subject}), "
        f"which {_READING[decision]} of {threshold:g}. This sample {could} {shown} to lie above it (80% power)."
    )
