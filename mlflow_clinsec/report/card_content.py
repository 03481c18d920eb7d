"""What stands in each section of the audit card, as plain rows that the template lays out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlflow_clinsec.report.figure_triggers import worst_first
from mlflow_clinsec.report.further_tables import further_tables, has_view
from mlflow_clinsec.report.headlines import (
    TRIGGER_TEST,
    UTILITY_TEST,
    beside_privacy,
    is_baseline,
    judged_privacy,
    row_estimate,
    trigger_table,
)
from mlflow_clinsec.report.suppress import mask_summary
from mlflow_clinsec.report.wording import level, of_100, read_auc, read_flag, read_tpr, said_of, visible
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Family, Status

ACCESS_TEXTS = {
    "none": "Nothing of the model, only the records (a baseline)",
    "label": "The model's answer, no probability",
    "text": "The text that the model writes",
    "probability": "The probability of each class",
    "log-probability": "The log-probability of every token",
    "weights": "The model itself, weights and attention included",
}

PRIVACY_METRICS = {
    "auc": "AUC",
    "tpr_at_1pct_fpr": "TPR at 1% FPR",
    "tpr_at_0_1pct_fpr": "TPR at 0.1% FPR",
    "balanced_accuracy": "Balanced accuracy",
    "epsilon_lower": "Epsilon at least",
    "patient_auc": "AUC per patient",
    "patient_tpr_at_1pct_fpr": "TPR at 1% FPR per patient",
}
FURTHER_METRICS = ("tpr_at_0_1pct_fpr", "balanced_accuracy", "epsilon_lower")

Row = dict[str, Any]


def title(report: AuditReport) -> str:
    """The heading the user configured, or the model's name."""
    configured = report.settings.get("report")
    chosen = configured.get("title", "") if isinstance(configured, Mapping) else ""
    return visible(chosen or f"Audit of {report.model_name}")


def sections(report: AuditReport, min_cell: int) -> Row:
    """All rows by section name."""
    return {
        "flags": flags(report),
        "notes": said_of(report, "notes"),
        "checks": [check for verdict in report.verdicts.values() for check in verdict.checks],
        "access": access(report),
        "attacks": privacy_rows(report),
        "strongest": strongest_reading(report),
        "by_patient": any("patient_auc" in result.estimates for result in report.of(Family.PRIVACY)),
        "further": {name: PRIVACY_METRICS[name] for name in FURTHER_METRICS if _any_defined(report, name)},
        "undefined": undefined_metrics(report),
        "subgroups": subgroup_rows(report),
        "with_p": any("p_value" in result.values for result in report.of(Family.PRIVACY)),
        "triggers": trigger_rows(report),
        "trigger_reading": trigger_reading(report),
        "utility": utility_rows(report),
        "further_tables": further_tables(report, min_cell),
        "others": other_rows(report),
        "lost": [result for result in report.results if result.status is not Status.OK],
        "summary": summary_rows(report, min_cell),
        "acceptance": acceptance_rows(report, min_cell),
        "levels": levels(report),
    }


def flags(report: AuditReport) -> list[str]:
    """Every flag of the audit once, in a sentence, and whether the overlap guard left records out."""
    overlap = report.data_summary.get("overlap")
    left_out = isinstance(overlap, Mapping) and any(count for _, count in _leaves(overlap))
    return [*said_of(report, "flags"), *([read_flag("overlap")] if left_out else [])]


def access(report: AuditReport) -> list[Row]:
    """For each degree of access, which attacks ran with it, least access first."""
    ran = [result for result in report.results if result.status is Status.OK]
    degrees = [*ACCESS_TEXTS, *sorted({r.access for r in ran} - set(ACCESS_TEXTS))]
    grouped = {degree: [r.name for r in ran if r.access == degree] for degree in degrees}
    return [
        {"text": ACCESS_TEXTS.get(degree, visible(degree) or "Not stated"), "names": names}
        for degree, names in grouped.items()
        if names
    ]


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
    words = f"{read_auc(auc)} {read_tpr(best.estimates.get('tpr_at_1pct_fpr'))}".strip()
    return f"Strongest: {visible(best.name)}. {words}"


def undefined_metrics(report: AuditReport) -> list[str]:
    """Figures that no attack has, each once with its reason instead of in a column of "not defined"."""
    found = []
    for name in FURTHER_METRICS:
        reasons = [r.estimates[name].reason for r in judged_privacy(report) if name in r.estimates]
        if reasons and not _any_defined(report, name):
            found.append(f"{PRIVACY_METRICS[name]}: not defined ({visible(reasons[0], limit=200)}).")
    return found


def _any_defined(report: AuditReport, name: str) -> bool:
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


def trigger_rows(report: AuditReport) -> list[Row]:
    """The trigger test's table, worst excess first, with its interval columns folded into estimates."""
    table = worst_first(trigger_table(report))
    folded = ("asr", "ftr", "excess_asr")
    return [
        {str(column): cell for column, cell in row.items()} | {name: row_estimate(row, name) for name in folded}
        for _, row in table.iterrows()
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
    names = {"cacc": "Accuracy (CACC)", "auroc": "AUROC", "auprc": "AUPRC"}
    result = report.find(Family.BACKDOOR, UTILITY_TEST)
    estimates = result.estimates if result is not None else {}
    return [{"name": names.get(key, visible(key)), "estimate": value} for key, value in estimates.items()]


def other_rows(report: AuditReport) -> list[Row]:
    """Estimates that no table above shows, so that a new attack is on the card without a change here."""
    shown = {TRIGGER_TEST, UTILITY_TEST}
    return [
        {"test": result.name, "metric": metric, "estimate": estimate}
        for result in report.results
        for metric, estimate in result.estimates.items()
        if not (result.family is Family.PRIVACY and metric in PRIVACY_METRICS)
        and not (result.family is Family.BACKDOOR and (result.name in shown or has_view(result)))
    ]


def summary_rows(report: AuditReport, min_cell: int) -> list[Row]:
    """The data summary as (words, value) rows, small counts suppressed."""
    leaves = _leaves(mask_summary(report.data_summary, min_cell))
    return [
        {"name": _words(": ".join(path)), "value": value}
        for path, value in leaves
        if not (path[0] == "paraphrases" and path[-1].startswith(("tried_", "accepted_")))
    ]


def acceptance_rows(report: AuditReport, min_cell: int) -> list[Row]:
    """Rewrites tried and accepted for members and for non-members."""
    counts = report.data_summary.get("paraphrases") or {}
    rows = []
    for side in ("members", "nonmembers"):
        tried, accepted = counts.get(f"tried_{side}"), counts.get(f"accepted_{side}")
        if tried is not None and accepted is not None:
            share = accepted / tried if tried >= min_cell else None
            rows.append({"side": _words(side), "tried": tried, "accepted": accepted, "share": share})
    return rows


def levels(report: AuditReport) -> str:
    """The confidence levels of all intervals outside the policy checks, as in "95%"."""
    found = {level(e) for result in report.results for e in result.estimates.values() if e.is_defined}
    return " or ".join(sorted(found)) or "95%"


def _words(key: str) -> str:
    return key.replace("_", " ").replace("nonmember", "non-member")


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value
