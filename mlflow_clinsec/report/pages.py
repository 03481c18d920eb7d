"""The audit card as a plain document: sections of sentences, tables and figures, for formats without HTML.

The rows are those of the HTML card (:mod:`mlflow_clinsec.report.card_content`); only their layout differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlflow_clinsec.report import legends
from mlflow_clinsec.report import page_tables as tables
from mlflow_clinsec.report.card_content import LIMITS, sections
from mlflow_clinsec.report.figures import FIGURE_TITLES, alt_text
from mlflow_clinsec.report.page_parts import Block, Fields, Picture, Section, Table
from mlflow_clinsec.report.suppress import show_count
from mlflow_clinsec.report.wording import number, p_value, visible, when
from mlflow_clinsec.results import AuditReport

Row = Mapping[str, Any]


def pages(report: AuditReport, figures: Mapping[str, bytes], min_cell: int) -> list[Section]:
    """All sections below the verdict, in the card's order; those without content are left out.

    Args:
        report: the audit, its texts masked already.
        figures: figure name -> PNG.
        min_cell: counts below this are suppressed.
    """
    rows = sections(report, min_cell)
    pictures = {name: Picture(png, FIGURE_TITLES[name], alt_text(name, report)) for name, png in figures.items()}
    made = (
        Section("Policy checks", list(_checks(rows))),
        Section("What the attacker was assumed to see", [tables.access(rows["access"])] if rows["access"] else []),
        Section("What this sample could have detected", list(_power(report, rows, min_cell))),
        Section(
            "Privacy: can someone tell that a record was in the training data?",
            list(_privacy(rows, pictures, min_cell)),
        ),
        Section(
            "Integrity: does a hidden trigger flip the model's answer?", list(_integrity(rows, pictures, min_cell))
        ),
        Section("What was not run, and why", [tables.lost(rows["lost"]) if rows["lost"] else _ALL_RAN]),
        Section("The data", list(_data(rows, min_cell))),
        Section("What this audit does not show", LIMITS),
        Section("Where these findings stand in published frameworks", list(_frameworks(rows))),
        Section("Provenance", [Fields(_provenance(report))]),
        Section("Sign-off", [_signed(report), Fields(SIGN_OFF)]),
    )
    return [section for section in made if section.blocks]


_ALL_RAN = "Everything that was asked for ran."
SIGN_OFF = (
    ("Reviewed by", ""),
    ("Role", ""),
    ("Decision", "☐ release   ☐ release with conditions   ☐ do not release"),
    ("Conditions", ""),
    ("Date, signature", ""),
)
"""What a person fills in."""


def _checks(rows: Row) -> Iterator[Block]:
    if rows["checks"]:
        yield from (tables.checks(rows["checks"]), legends.CHECKS)
    else:
        yield "No policy check could be made."
    yield from rows["notes"]


def _power(report: AuditReport, rows: Row, min_cell: int) -> Iterator[Block]:
    finding = report.verdict.finding
    if finding:
        could = (
            "This sample is too small to show any leak"
            if finding.detectable_auc is None
            else f"A true AUC of {number(finding.detectable_auc)} or more would have been found in 80 of 100 audits"
        )
        yield f"{could}; the smallest p of all attacks after Holm's correction is {p_value(finding.p_value)}."
    if rows["checks"]:
        yield from (tables.power(rows["checks"], min_cell), legends.POWER)


def _privacy(rows: Row, pictures: Mapping[str, Picture], min_cell: int) -> Iterator[Block]:
    if not rows["attacks"]:
        return
    if rows["strongest"]:
        yield rows["strongest"]
    yield tables.attacks(rows["attacks"], rows["by_patient"], rows["levels"])
    yield legends.attacks(rows["by_patient"], rows["with_p"])
    yield from _drawn(pictures, "roc", "score_histograms")
    yield tables.more_attacks(rows["attacks"], rows["further"], min_cell)
    yield legends.more_attacks(rows["with_p"], "epsilon_lower" in rows["further"])
    yield from rows["undefined"]
    if rows["subgroups"]:
        yield tables.subgroups(rows["subgroups"], rows["levels"], min_cell)


def _integrity(rows: Row, pictures: Mapping[str, Picture], min_cell: int) -> Iterator[Block]:
    if rows["triggers"]:
        if rows["trigger_reading"]:
            yield rows["trigger_reading"]
        yield from (tables.triggers(rows["triggers"], rows["levels"], min_cell), legends.TRIGGERS)
        yield from _drawn(pictures, "trigger_success")
        yield from (tables.more_triggers(rows["triggers"]), legends.MORE_TRIGGERS)
    if rows["focus"]:
        yield from (tables.focus(rows["focus"], rows["levels"]), legends.FOCUS)
        yield from _drawn(pictures, "attention")
    for further in rows["further_tables"]:
        yield tables.further(further)
        if further["view"].note:
            yield further["view"].note
    if rows["utility"]:
        utility = [(row["name"], row["estimate"], row["reading"]) for row in rows["utility"]]
        yield tables.estimates("Clean utility, on records as they are", utility, "Figure")
    if rows["others"]:
        others = [(f"{row['test']}: {row['title']}", row["estimate"], row["reading"]) for row in rows["others"]]
        yield tables.estimates("Figures of further tests", others, "Figure", "What it is")


def _drawn(pictures: Mapping[str, Picture], *names: str) -> Iterator[Picture]:
    yield from (pictures[name] for name in names if name in pictures)


def _data(rows: Row, min_cell: int) -> Iterator[Block]:
    if rows["split"]:
        yield Table("Where the split comes from", ("What", "As far as this audit can tell"), rows["split"])
    counts = [(visible(row["name"]), visible(row["value"])) for row in rows["summary"]]
    yield Table(f"Counts; those below {min_cell} are hidden to protect patients", ("What", "Number"), counts)
    if rows["acceptance"]:
        shown = [
            (
                row["side"],
                *(str(show_count(row[name], min_cell)) for name in ("tried", "accepted")),
                number(row["share"]),
            )
            for row in rows["acceptance"]
        ]
        yield Table("Rewrites that passed the fidelity gate", ("Of", "Tried", "Accepted", "Share accepted"), shown)
    if rows["acceptance_reading"]:
        yield rows["acceptance_reading"]


def _frameworks(rows: Row) -> Iterator[Block]:
    yield (
        "Each row says which tests of this audit speak to an entry and whether they ran. No legal conclusion is "
        "drawn: whether an audit satisfies a framework is for people to say."
    )
    yield tables.frameworks("Entries by framework and edition", rows["frameworks"])
    yield tables.frameworks("Annex: attacks that EDPB Opinion 28/2024 names, run and not run", rows["annex"])
    yield "For an expert determination under 45 CFR 164.514(b)(1); the lines left blank are the expert's:"
    yield Fields([(field.name, field.value) for field in rows["determination"]])


def _provenance(report: AuditReport) -> list[tuple[str, str]]:
    return [
        ("Model", visible(report.model_name)),
        ("Started", when(report.started)),
        ("Took", f"{number(report.seconds, 0)} seconds"),
        ("Seed", str(report.seed)),
        ("Configuration", visible(report.config_digest)),
        *((visible(name), visible(version)) for name, version in report.versions.items()),
    ]


def _signed(report: AuditReport) -> str:
    return (
        f"{report.verdict.decision.value}, {visible(report.model_name)}, audited {when(report.started)}, "
        f"configuration {visible(report.config_digest)}, seed {report.seed}."
    )
