"""What stands in each section of the audit card, as plain rows that the template lays out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlflow_clinsec.report.determination import determination_fields
from mlflow_clinsec.report.frameworks import annex_rows, framework_rows
from mlflow_clinsec.report.further_tables import further_tables, has_view
from mlflow_clinsec.report.headlines import FOCUS_TEST, TRIGGER_TEST, UTILITY_TEST
from mlflow_clinsec.report.integrity_rows import DRIFT, FOCUS, focus_rows, trigger_reading, trigger_rows, utility_rows
from mlflow_clinsec.report.privacy_rows import (
    FURTHER_METRICS,
    PRIVACY_METRICS,
    any_defined,
    privacy_rows,
    strongest_reading,
    subgroup_rows,
    undefined_metrics,
)
from mlflow_clinsec.report.readings import read_acceptance, read_further
from mlflow_clinsec.report.split_rows import split_rows
from mlflow_clinsec.report.suppress import mask_summary
from mlflow_clinsec.report.titles import metric_title
from mlflow_clinsec.report.verdict_words import read_flag, said_of
from mlflow_clinsec.report.wording import level, visible, words
from mlflow_clinsec.results import AuditReport, Family, Status

ACCESS_TEXTS = {
    "none": "Nothing of the model, only the records (a baseline)",
    "label": "The model's answer, no probability",
    "text": "The text that the model writes",
    "probability": "The probability of each class",
    "log-probability": "The log-probability of every token",
    "weights": "The model itself, weights and attention included",
}

LIMITS = (
    "A pass means that these attacks, on this sample, stayed below the limits. A stronger attack, or a trigger that "
    "nobody thought of, may still succeed.",
    "Membership figures hold for records drawn like these ones. They say nothing of memorised text that the model "
    "might recite; the attack regurgitation does.",
    "A skipped or failed test shows nothing, neither good nor bad.",
)
"""What no audit shows."""

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
        "further": {name: PRIVACY_METRICS[name] for name in FURTHER_METRICS if any_defined(report, name)},
        "undefined": undefined_metrics(report),
        "subgroups": subgroup_rows(report),
        "with_p": any("p_value" in result.values for result in report.of(Family.PRIVACY)),
        "triggers": trigger_rows(report, min_cell),
        "trigger_reading": trigger_reading(report),
        "focus": focus_rows(report),
        "utility": utility_rows(report),
        "further_tables": further_tables(report, min_cell),
        "others": other_rows(report),
        "lost": [result for result in report.results if result.status is not Status.OK],
        "summary": summary_rows(report, min_cell),
        "acceptance": acceptance_rows(report, min_cell),
        "acceptance_reading": acceptance_reading(report, min_cell),
        "split": split_rows(report, min_cell),
        "levels": levels(report),
        "frameworks": framework_rows(report),
        "annex": annex_rows(report),
        "determination": determination_fields(report),
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


def other_rows(report: AuditReport) -> list[Row]:
    """Estimates that no table above shows, so that a new attack is on the card without a change here."""
    shown = {TRIGGER_TEST, UTILITY_TEST}
    return [
        {
            "test": result.name,
            "title": metric_title(metric),
            "estimate": estimate,
            "reading": read_further(result.name, metric),
        }
        for result in report.results
        for metric, estimate in result.estimates.items()
        if not (result.family is Family.PRIVACY and metric in PRIVACY_METRICS)
        and not (result.family is Family.BACKDOOR and (result.name in shown or has_view(result)))
        and not (result.name == FOCUS_TEST and metric.endswith((FOCUS, DRIFT)))
    ]


def summary_rows(report: AuditReport, min_cell: int) -> list[Row]:
    """The data summary as (words, value) rows, small counts suppressed."""
    leaves = _leaves(mask_summary(report.data_summary, min_cell))
    return [
        {"name": words(": ".join(path)), "value": value}
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
            rows.append({"side": words(side), "tried": tried, "accepted": accepted, "share": share})
    return rows


def acceptance_reading(report: AuditReport, min_cell: int) -> str:
    """Whether the gate treats members and non-members alike."""
    rows = acceptance_rows(report, min_cell)
    return read_acceptance({row["side"].replace("-", ""): row["share"] for row in rows if row["share"] is not None})


def levels(report: AuditReport) -> str:
    """The confidence levels of all intervals outside the policy checks, as in "95%"."""
    found = {level(e) for result in report.results for e in result.estimates.values() if e.is_defined}
    return " or ".join(sorted(found)) or "95%"


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value
