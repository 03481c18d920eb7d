"""Rows of the audit card on membership inference."""

from __future__ import annotations

from typing import Any

from mlflow_clinsec.report.headlines import beside_privacy, is_baseline, judged_privacy
from mlflow_clinsec.report.readings import read_attack
from mlflow_clinsec.report.titles import METRIC_TITLES
from mlflow_clinsec.report.wording import visible
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Family

PRIVACY_METRICS = {
    name: METRIC_TITLES[name]
    for name in (
        "auc",
        "tpr_at_1pct_fpr",
        "tpr_at_0_1pct_fpr",
        "balanced_accuracy",
        "epsilon_lower",
        "patient_auc",
        "patient_tpr_at_1pct_fpr",
    )
}
"""Metric of every membership attack -> its title."""

FURTHER_METRICS = ("tpr_at_0_1pct_fpr", "balanced_accuracy", "epsilon_lower")

Row = dict[str, Any]


def privacy_rows(report: AuditReport) -> list[Row]:
    """Attacks by falling AUC; what is judged by no policy last."""
    ran = sorted(judged_privacy(report), key=_auc_order)
    return [_privacy_row(result) for result in (*ran, *beside_privacy(report))]


def strongest_reading(report: AuditReport) -> str:
    """What the attack with the largest AUC means; "" where none has one."""
    best = min(judged_privacy(report), key=_auc_order, default=None)
    auc = best.estimates.get("auc") if best is not None else None
    if best is None or auc is None or not auc.is_defined:
        return ""
    return f"Strongest: {visible(best.name)}. {read_attack(best)}"


def undefined_metrics(report: AuditReport) -> list[str]:
    """Figures that no attack has, each once with its reason instead of in a column of "not defined"."""
    found = []
    for name in FURTHER_METRICS:
        reasons = [r.estimates[name].reason for r in judged_privacy(report) if name in r.estimates]
        if reasons and not any_defined(report, name):
            found.append(f"{PRIVACY_METRICS[name]}: not defined ({visible(reasons[0], limit=200)}).")
    return found


def any_defined(report: AuditReport, name: str) -> bool:
    """Whether any attack has a value of this metric."""
    return any(name in r.estimates and r.estimates[name].is_defined for r in report.of(Family.PRIVACY))


def _auc_order(result: AttackResult) -> float:
    auc = result.estimates.get("auc")
    return -auc.value if auc is not None and auc.is_defined else 0.0


def _privacy_row(result: AttackResult) -> Row:
    return {
        "name": result.name,
        "source": result.source,
        "baseline": is_baseline(result),
        "estimates": {name: result.estimates.get(name) for name in PRIVACY_METRICS},
        "p_value": result.values.get("p_value"),
        "p_value_holm": result.values.get("p_value_holm"),
        "coverage": result.values.get("coverage"),
        "reading": read_attack(result),
    }


def subgroup_rows(report: AuditReport) -> list[Row]:
    """The strongest attack in each subgroup; every count was made safe to show when the table was made."""
    return [
        {str(column): cell for column, cell in row.items()}
        | {"attack": result.name, "auc": Estimate(row["auc"], row["auc_low"], row["auc_high"], 0)}
        for result in report.of(Family.PRIVACY)
        if "subgroups" in result.tables
        for _, row in result.tables["subgroups"].iterrows()
    ]
