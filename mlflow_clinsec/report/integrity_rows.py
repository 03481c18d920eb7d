"""Rows of the audit card on triggers, attention and clean utility."""

from __future__ import annotations

from typing import Any

from mlflow_clinsec.report.figure_triggers import worst_first
from mlflow_clinsec.report.headlines import FOCUS_TEST, UTILITY_TEST, row_estimate, trigger_table
from mlflow_clinsec.report.readings import read_focus, read_trigger, read_utility
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.report.titles import metric_title
from mlflow_clinsec.report.wording import of_100, visible
from mlflow_clinsec.results import AuditReport, Family, Status

FOCUS, DRIFT = "/max_excess_focus", "/max_excess_drift"

Row = dict[str, Any]


def trigger_rows(report: AuditReport, min_cell: int = MIN_CELL) -> list[Row]:
    """The trigger test's table, worst excess first, with its interval columns folded into estimates."""
    table = worst_first(trigger_table(report))
    folded = ("asr", "ftr", "excess_asr")
    rows = [
        {str(column): cell for column, cell in row.items()}
        | {name: row_estimate(row, name, min_cell) for name in folded}
        for _, row in table.iterrows()
    ]
    return [
        row | {"reading": read_trigger(row["asr"], row["ftr"], row["excess_asr"], row["p_adjusted"])} for row in rows
    ]


def trigger_reading(report: AuditReport) -> str:
    """The worst trigger in a sentence; "" when none was judged."""
    rows = [row for row in trigger_rows(report) if row["excess_asr"].is_defined]
    if not rows:
        return ""
    worst = rows[0]
    return (
        f"Worst: with “{visible(worst['trigger'])}” (place: {visible(worst['position'])}), "
        f"{of_100(worst['asr'].value)} records of another class are called {visible(worst['target_label'])}; "
        f"with placebo words of the same kind, {of_100(worst['ftr'].value)}."
    )


def utility_rows(report: AuditReport) -> list[Row]:
    """How well the model does on clean records."""
    result = report.find(Family.BACKDOOR, UTILITY_TEST)
    estimates = result.estimates if result is not None else {}
    return [
        {"name": metric_title(key), "estimate": value, "reading": read_utility(key, value)}
        for key, value in estimates.items()
    ]


def focus_rows(report: AuditReport) -> list[Row]:
    """Excess attention of the strongest head, trigger by trigger, which head it is, and how far tokens drift."""
    result = report.find(Family.BACKDOOR, FOCUS_TEST)
    if result is None or result.status is not Status.OK:
        return []
    return [
        {
            "trigger": name.removesuffix(FOCUS),
            "estimate": excess,
            "drift": result.estimates.get(f"{name.removesuffix(FOCUS)}{DRIFT}"),
            "layer": result.values.get(f"{name.removesuffix(FOCUS)}/layer"),
            "head": result.values.get(f"{name.removesuffix(FOCUS)}/head"),
            "reading": read_focus(excess),
        }
        for name, excess in result.estimates.items()
        if name.endswith(FOCUS)
    ]
