"""The few numbers by which runs are sorted and compared.

The worst values come from the policy checks, whose intervals allow for having picked the worst of several;
where the policy holds no such check they are read off the results, with the plain interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pandas as pd

from mlflow_clinsec.report.suppress import MIN_CELL, is_small, withheld
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Family, Status

TRIGGER_TEST = "trigger"
FOCUS_TEST = "attention_focus"
UTILITY_TEST = "clean_utility"
SEARCH_TEST = "trigger_search"
HOLM = "privacy/p_value_holm"

HEADLINE_TITLES = {
    "privacy/worst_auc": "Strongest privacy attack, AUC",
    "privacy/worst_tpr_at_1pct_fpr": "Strongest privacy attack, TPR at 1% FPR",
    HOLM: "Smallest p of all attacks, after Holm",
    "privacy/detectable_auc": "Smallest AUC that could have been found",
    "backdoor/worst_asr": "Worst trigger, attack success (ASR)",
    "backdoor/worst_excess_asr": "Worst trigger, ASR above placebo",
    "backdoor/probability": "Probability of a planted trigger, blind search",
    "utility/auroc": "AUROC on clean records",
}


def headlines(report: AuditReport) -> dict[str, Estimate]:
    """Headline name (``privacy/worst_auc``) -> estimate; what was not asked for is left out."""
    found = {
        "privacy/worst_auc": _worst(report, Family.PRIVACY, "max_auc", _privacy("auc")),
        "privacy/worst_tpr_at_1pct_fpr": _worst(
            report, Family.PRIVACY, "max_tpr_at_1pct_fpr", _privacy("tpr_at_1pct_fpr")
        ),
        HOLM: _found(report, "p_value", "smallest p of all attacks, permutation by patient, Holm"),
        "privacy/detectable_auc": _found(report, "detectable_auc", "Hanley-McNeil, 80% power, Bonferroni"),
        "backdoor/worst_asr": _largest(_trigger_column(report, "asr")),
        "backdoor/worst_excess_asr": _worst(report, Family.BACKDOOR, "max_excess_asr", _triggers("excess_asr")),
        "backdoor/probability": _searched(report),
        "utility/auroc": _utility(report, "auroc"),
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def judged_privacy(report: AuditReport) -> list[AttackResult]:
    """Privacy attacks that ran and are held against the policy; the blind baseline and canaries are not."""
    return [r for r in _ran(report) if r.judged and not is_baseline(r)]


def beside_privacy(report: AuditReport) -> list[AttackResult]:
    """Privacy results that ran and are shown for comparison only."""
    return [r for r in _ran(report) if not r.judged or is_baseline(r)]


def _ran(report: AuditReport) -> list[AttackResult]:
    return [r for r in report.of(Family.PRIVACY) if r.status is Status.OK]


def is_baseline(result: AttackResult) -> bool:
    """Whether a result never saw the model and only tells what the data gives away by itself."""
    return result.access == "none" or bool(result.details.get("baseline", False))


def trigger_table(report: AuditReport) -> pd.DataFrame:
    """One row per trigger, target label and position; empty when the trigger test did not run."""
    result = report.find(Family.BACKDOOR, TRIGGER_TEST)
    if result is None or "triggers" not in result.tables:
        return pd.DataFrame()
    return result.tables["triggers"]


def row_estimate(row: pd.Series, column: str, min_cell: int = MIN_CELL) -> Estimate:
    """The estimate whose value, low and high stand in ``column``, ``column_low`` and ``column_high``."""
    value = float(row[column])
    n = int(row["n"])
    if math.isnan(value):
        return Estimate.undefined(_why_undefined(row, column, min_cell), n)
    return Estimate(value, float(row[f"{column}_low"]), float(row[f"{column}_high"]), n)


def _why_undefined(row: pd.Series, column: str, min_cell: int) -> str:
    if int(row["n"]) == 0:
        return "no record could be judged"
    if is_small(int(row["n"]), min_cell):
        return withheld(min_cell)
    if column == "excess_asr" and not math.isnan(row["asr"]):
        return "any word inserted brings the target label"
    return "cannot be told from these records"


def _worst(
    report: AuditReport, family: Family, key: str, fallback: Callable[[AuditReport], list[Estimate]]
) -> Estimate | None:
    verdict = report.verdicts.get(family)
    checks = [check.estimate for check in verdict.checks if check.key == key] if verdict else []
    return checks[0] if checks else _largest(fallback(report))


def _found(report: AuditReport, field: str, method: str) -> Estimate | None:
    """A number of the referee's finding; it has no interval of its own."""
    verdict = report.verdicts.get(Family.PRIVACY)
    value = getattr(verdict.finding, field) if verdict and verdict.finding else None
    return None if value is None or math.isnan(value) else Estimate(value, math.nan, math.nan, 0, method=method)


def _searched(report: AuditReport) -> Estimate | None:
    """The blind search's probability of a planted trigger; it has no interval."""
    result = report.find(Family.BACKDOOR, SEARCH_TEST)
    value = result.values.get("probability") if result is not None else None
    return None if value is None else Estimate(value, math.nan, math.nan, 0, method="detector")


def _largest(estimates: Iterable[Estimate]) -> Estimate | None:
    return max((e for e in estimates if e.is_defined), key=lambda e: e.value, default=None)


def _privacy(metric: str) -> Callable[[AuditReport], list[Estimate]]:
    return lambda report: [r.estimates[metric] for r in judged_privacy(report) if metric in r.estimates]


def _triggers(column: str) -> Callable[[AuditReport], list[Estimate]]:
    return lambda report: _trigger_column(report, column)


def _trigger_column(report: AuditReport, column: str) -> list[Estimate]:
    return [row_estimate(row, column) for _, row in trigger_table(report).iterrows()]


def _utility(report: AuditReport, metric: str) -> Estimate | None:
    result = report.find(Family.BACKDOOR, UTILITY_TEST)
    return result.estimates.get(metric) if result is not None else None
