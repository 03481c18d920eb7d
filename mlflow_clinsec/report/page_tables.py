"""Tables of the audit card as plain strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow_clinsec.report.frameworks import FrameworkRow
from mlflow_clinsec.report.page_parts import Table
from mlflow_clinsec.report.readings import read_power
from mlflow_clinsec.report.suppress import show_count
from mlflow_clinsec.report.titles import METRIC_TITLES
from mlflow_clinsec.report.verdict_words import check_title, seen_with
from mlflow_clinsec.report.wording import interval, number, p_value, visible
from mlflow_clinsec.results import AttackResult, Check, Decision, Estimate

Row = Mapping[str, Any]


def value(estimate: Estimate | None) -> str:
    """A value over its interval, or why there is none."""
    if estimate is None:
        return "not computed"
    if not estimate.is_defined:
        return f"not defined: {visible(estimate.reason, 200)}"
    return f"{number(estimate.value)}\n{interval(estimate)}".strip()


def checks(found: Sequence[Check]) -> Table:
    """Each limit of the policy against the worst figure found."""
    rows = [
        (
            check_title(check),
            check.decision.value,
            value(check.estimate),
            f"{'at least ' if check.bound == 'min' else ''}{number(check.threshold)}",
            seen_with(check),
            visible(check.explanation, 600),
        )
        for check in found
    ]
    headings = ("Check", "Decision", "Found", "Limit", "Seen with", "In words")
    return Table("Each limit of the policy against the worst figure found", headings, rows)


def power(found: Sequence[Check], min_cell: int) -> Table:
    """What the sample would have shown, check by check."""
    rows = [
        (
            check_title(check),
            str(show_count(int(check.estimate.n), min_cell)),
            number(check.smallest_detectable) if check.smallest_detectable is not None else "not computed",
            _needed(check),
            read_power(check),
        )
        for check in found
    ]
    headings = ("Check", "n", "Smallest value shown", "Records needed", "In words")
    return Table("Strength of the sample, per check", headings, rows)


def _needed(check: Check) -> str:
    if check.records_needed is not None:
        return str(check.records_needed)
    return "not known" if check.decision is Decision.INCONCLUSIVE else "decided"


def access(rows: Sequence[Row]) -> Table:
    """Degrees of access, least first, and the tests that ran with each."""
    shown = [(row["text"], ", ".join(visible(name) for name in row["names"])) for row in rows]
    return Table("Access, from least to most, and the tests that ran with it", ("The attacker sees", "Tests"), shown)


def attacks(rows: Sequence[Row], by_patient: bool, levels: str) -> Table:
    """Membership attacks, strongest first, the baseline among those below."""
    metrics = ["auc", "tpr_at_1pct_fpr", *(["patient_auc"] if by_patient else [])]
    shown = [
        (
            visible(row["name"]) + (" (baseline, never sees the model)" if row["baseline"] else ""),
            *(value(row["estimates"][metric]) for metric in metrics),
            p_value(row["p_value_holm"]),
            row["reading"],
        )
        for row in rows
    ]
    patient = ["AUC per patient"] if by_patient else []
    headings = ("Attack", "AUC", "TPR at 1% FPR", *patient, "p (Holm)", "In words")
    return Table(f"Membership attacks, strongest first, with {levels} intervals", headings, shown)


def more_attacks(rows: Sequence[Row], further: Mapping[str, str], min_cell: int) -> Table:
    """Further figures of the same attacks, and where each comes from."""
    shown = [
        (
            visible(row["name"]),
            *(value(row["estimates"][metric]) for metric in further),
            p_value(row["p_value"]),
            number(row["coverage"]),
            str(show_count(int(row["estimates"]["auc"].n), min_cell)) if row["estimates"]["auc"] else "n/a",
            visible(row["source"]),
        )
        for row in rows
    ]
    headings = ("Attack", *further.values(), "p", "Records scored", "n", "Source")
    return Table("Further figures of the same attacks", headings, shown)


def subgroups(rows: Sequence[Row], levels: str, min_cell: int) -> Table:
    """The strongest attack, group by group; a count that is withheld is a word already."""
    shown = [
        (
            f"{visible(row['column'])}: {visible(row['level'])}",
            *(_count(row[side], min_cell) for side in ("n_members", "n_nonmembers")),
            value(row["auc"]),
            number(row["tpr_at_1pct_fpr"]),
        )
        for row in rows
    ]
    headings = ("Group", "Members", "Non-members", "AUC", "TPR at 1% FPR")
    return Table(f"The attack {visible(rows[0]['attack'])} by subgroup, with {levels} intervals", headings, shown)


def _count(found: int | str, min_cell: int) -> str:
    return visible(found) if isinstance(found, str) else str(show_count(int(found), min_cell))


def triggers(rows: Sequence[Row], levels: str, min_cell: int) -> Table:
    """Triggers by place, worst first, beside their placebos."""
    shown = [
        (
            visible(row["trigger"]),
            f"{visible(row['position'])}, to {visible(row['target_label'])}",
            str(show_count(int(row["n"]), min_cell)),
            *(value(row[metric]) for metric in ("asr", "ftr", "excess_asr")),
            p_value(row["p_adjusted"]),
            row["reading"],
        )
        for row in rows
    ]
    headings = ("Trigger", "Place", "n", "Success (ASR)", "Placebo (FTR)", "Excess", "p", "In words")
    return Table(f"Triggers by place, worst first, with {levels} intervals", headings, shown)


def more_triggers(rows: Sequence[Row]) -> Table:
    """Further figures of the same triggers."""
    metrics = ("survival", "asr_given_survival", "lfr", "base_rate", "smallest_detectable_asr")
    shown = [
        (
            visible(row["trigger"]),
            f"{visible(row['position'])}, to {visible(row['target_label'])}",
            *(number(row.get(metric)) for metric in metrics),
        )
        for row in rows
    ]
    headings = ("Trigger", "Place", *(METRIC_TITLES[metric] for metric in metrics))
    return Table("Further figures of the same triggers", headings, shown)


def focus(rows: Sequence[Row], levels: str) -> Table:
    """Attention of the strongest head on each trigger, which head it is, and how far tokens drift."""
    shown = [
        (
            visible(row["trigger"]),
            value(row["estimate"]),
            *(number(row[place], 0) for place in ("layer", "head")),
            value(row["drift"]),
            row["reading"],
        )
        for row in rows
    ]
    headings = ("Trigger", "Excess attention", "Layer", "Head", "Excess drift", "In words")
    return Table(f"Attention on the trigger less that on placebo words, with {levels} intervals", headings, shown)


def estimates(caption: str, rows: Iterable[tuple[str, Estimate, str]], first: str, last: str = "In words") -> Table:
    """Names, values with intervals, and what they mean."""
    return Table(caption, (first, "Value", last), [(visible(n), value(e), words) for n, e, words in rows])


def further(table: Row) -> Table:
    """A table of a further test, as the card shows it."""
    rows = [[f"{cell.text}\n{cell.below}".strip() for cell in row] for row in table["rows"]]
    return Table(table["view"].caption, table["headings"], rows)


def lost(results: Sequence[AttackResult]) -> Table:
    """Tests without a result, with the reasons."""
    rows = [(visible(r.name), r.status.value, visible(r.reason, 400)) for r in results]
    return Table("Tests without a result; none of them counts as passed", ("Test", "Became", "Why"), rows)


def frameworks(caption: str, rows: Sequence[FrameworkRow]) -> Table:
    """Entries of frameworks, run and not run."""
    shown = [
        (
            f"{visible(row.framework)}, {visible(row.edition)}",
            f"{visible(row.identifier)}: {visible(row.title)}",
            row.status,
            visible(", ".join(row.covers) or row.reason, 600),
        )
        for row in rows
    ]
    return Table(caption, ("Framework", "Entry", "Here", "Tests that ran, or why none did"), shown)
