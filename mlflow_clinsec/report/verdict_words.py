"""How a verdict, its checks and what must be read with it are put into words, the same in every format."""

from __future__ import annotations

from typing import Literal

from mlflow_clinsec.report.titles import FAMILY_TITLES, figure_title
from mlflow_clinsec.report.wording import number, visible, with_interval
from mlflow_clinsec.results import AuditReport, Check, Decision, Family, FindingWord

DECISION_WORDS = {
    Decision.FAIL: "This model failed the audit",
    Decision.INCONCLUSIVE: "This audit could not decide",
    Decision.PASS: "This model passed the audit",
}

BESIDE_A_LEAK = {
    Decision.PASS: "The leak was shown, and it is smaller than the policy's limits.",
    Decision.INCONCLUSIVE: "The leak was shown; that it exceeds the policy's limits was not.",
    Decision.FAIL: "",
}
"""How a leak stands beside a verdict on privacy."""

SEARCH_KEY = "max_backdoor_probability"

METRIC_NAMES = {
    "max_auc": "AUC",
    "max_tpr_at_1pct_fpr": "TPR at 1% FPR",
    "max_excess_asr": "excess ASR (success above placebo)",
    SEARCH_KEY: "probability of a planted trigger",
}

_SUBJECTS = {"max_auc": "attack", "max_tpr_at_1pct_fpr": "attack", "max_excess_asr": "trigger"}
"""What each of these limits takes the worst of."""

_ON_ONE = ("metrics.", "baseline.")
"""What the keys of limits on single metrics begin with."""

FLAG_TEXTS = {
    "confounded": "Members and non-members differ in themselves: a classifier that never sees the model "
    "tells them apart. The privacy figures may show that difference rather than a leak.",
    "not evidential": "The split into members and non-members was not drawn at random before training, so "
    "the privacy figures are not evidence for or against a leak.",
    "few records": "There are too few records to decide anything.",
    "non deterministic": "The model changes its answers when it is asked again, so that no difference between answers "
    "can be put down to membership or to a trigger.",
    "not run": "Something that was asked for did not run; that is not a pass.",
    "overlap": "Some members also stood among the non-members, exactly or nearly; they were left out.",
}


def check_title(check: Check) -> str:
    """What a check limits, in words."""
    return limit_title(check.key, check.subject)


def limit_title(key: str, subject: str) -> str:
    """What a policy key limits, as in "AUC of the worst attack"; the key itself where it is unknown.

    Args:
        subject: the metric, of a limit on a single one.
    """
    if key.startswith(_ON_ONE):
        compared = ", against the baseline" if key.startswith("baseline.") else ""
        return f"{figure_title(subject)}{compared}"
    if key == SEARCH_KEY:
        return f"{METRIC_NAMES[SEARCH_KEY].capitalize()}, blind search"
    name = METRIC_NAMES.get(key)
    return f"{name[0].upper()}{name[1:]} of the worst {_SUBJECTS[key]}" if name else visible(key)


def seen_with(check: Check) -> str:
    """The attack or trigger that a check read; "" where there was none, or where its title says which metric it was."""
    return "" if on_metric(check) or not check.estimate.is_defined else visible(check.subject)


def check_clause(check: Check) -> str:
    """What was found where, and how it stands to the limit: one clause of the verdict."""
    metric = check_title(check) if on_metric(check) else METRIC_NAMES.get(check.key, visible(check.key))
    if not check.estimate.is_defined:
        return f"{metric} is {with_interval(check.estimate)}"
    if on_metric(check):
        return f"{metric} is {with_interval(check.estimate)}, {_against_limit(check)}"
    subject = (
        "the blind search"
        if check.key == SEARCH_KEY
        else f"{_SUBJECTS.get(check.key, 'test')} {visible(check.subject)}"
    )
    return f"{subject} reaches {metric} {with_interval(check.estimate)}, {_against_limit(check)}"


def on_metric(check: Check) -> bool:
    """Whether a check holds one named metric, and not the worst of several, against its limit."""
    return check.key.startswith(_ON_ONE)


def _against_limit(check: Check) -> str:
    limit = number(check.threshold)
    if check.decision is Decision.FAIL:
        return f"{'above the' if check.bound == 'max' else 'below the lower'} limit of {limit}"
    if check.decision is Decision.PASS:
        return f"within the limit of {limit}"
    if check.estimate.low > check.threshold and check.bound == "max":
        return f"above the limit of {limit}, but these data cannot show that the model is the cause"
    if check.estimate.high <= check.threshold and check.bound == "max":
        return f"within the limit of {limit}, but these data could not have shown otherwise"
    return f"too uncertain to judge by the limit of {limit}"


def verdict_sentence(report: AuditReport) -> str:
    """The whole audit in one sentence: the decision and, per family, the check that led to it."""
    decision = report.verdict.decision
    clauses = [clause for family in report.verdicts if (clause := _family_clause(report, family))]
    if not clauses:
        clauses = [visible(note, limit=300).rstrip(".") for note in report.verdict.notes[-1:]]
    return f"{DECISION_WORDS[decision]}{': ' if clauses else ''}{'; '.join(clauses)}."


def _family_clause(report: AuditReport, family: Family) -> str:
    verdict = report.verdicts[family]
    if verdict.decision is not report.verdict.decision:
        return ""
    checks = [check for check in verdict.checks if check.decision is verdict.decision]
    if checks:
        return check_clause(checks[0])
    return visible(verdict.notes[-1], limit=300).rstrip(".") if verdict.notes else ""


def said_of(report: AuditReport, field: Literal["flags", "notes"]) -> list[str]:
    """Flags or notes once each, as sentences that name the family they belong to."""
    read = read_flag if field == "flags" else (lambda note: visible(note, limit=400))
    families: list[tuple[str, str]] = [
        (FAMILY_TITLES[family], text) for family, verdict in report.verdicts.items() for text in getattr(verdict, field)
    ]
    known = {text for _, text in families}
    overall = [read(text) for text in getattr(report.verdict, field) if text not in known]
    return list(dict.fromkeys([*overall, *(f"{title}: {read(text)}" for title, text in families)]))


def read_flag(flag: str) -> str:
    """A flag in a sentence; flags without a known sentence are shown as they are."""
    return FLAG_TEXTS.get(flag.lower().replace("_", " ").replace("-", " "), visible(flag, limit=400))


def finding_sentences(report: AuditReport) -> str:
    """Why the referee found what it found, and how that agrees with the verdict; "" where it was not asked."""
    finding, privacy = report.verdict.finding, report.verdicts.get(Family.PRIVACY)
    if finding is None:
        return ""
    beside = BESIDE_A_LEAK[privacy.decision] if privacy and finding.word is FindingWord.LEAK else ""
    return f"{visible(finding.reason, limit=400)} {beside}".strip()
