"""A short Markdown summary for the run's page (tag ``mlflow.note.content``).

MLflow renders the tag with Showdown's GitHub flavour and lets images and frames through, so a model or
trigger name must not become a link, an image, a mention or HTML: every cell is escaped by :func:`cell`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlflow_clinsec.report.headlines import HEADLINE_TITLES, headlines
from mlflow_clinsec.report.mask_texts import mask_texts
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.report.verdict_words import check_title, finding_sentences, said_of, seen_with, verdict_sentence
from mlflow_clinsec.report.wording import headline, number, visible, with_interval
from mlflow_clinsec.results import AuditReport, Status

_MARKS = re.compile(r"([\\`*_{}\[\]#!~|])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_AUTOLINK = re.compile(r"(:(?=//)|(?<=www)(?=\.)|@)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


def to_markdown(report: AuditReport, card_path: str = "clinsec/audit_card.html", min_cell: int = MIN_CELL) -> str:
    """Verdict, headline numbers, checks, what did not run, and the artifact to read on in."""
    report = mask_texts(report, min_cell)
    sections = [
        f"**{report.verdict.decision.value}**: {cell(verdict_sentence(report), limit=800)}",
        _finding(report),
        _flags(report),
        _table(("Figure", "Value and interval"), _headline_rows(report)),
        _table(("Policy check", "Found", "Limit", "Decision"), _check_rows(report)),
        _not_run(report),
        f"Read on: artifact {cell(card_path)} of this run. Seed {report.seed}, "
        f"configuration {cell(report.config_digest)}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def cell(text: object, limit: int = 120) -> str:
    """Text that Markdown shows as written: no markup, link, mention, HTML or table border can come of it."""
    plain = " ".join(visible(text, limit).split())
    unlinked = _AUTOLINK.sub(lambda mark: mark.group() + _ZERO_WIDTH_SPACE, plain)
    marked = _MARKS.sub(r"\\\1", unlinked)
    return "".join(_ENTITIES.get(character, character) for character in marked)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *lines])


def _headline_rows(report: AuditReport) -> list[tuple[str, ...]]:
    found = headlines(report)
    titles = {name: title for name, title in HEADLINE_TITLES.items() if name in found}
    return [(title, cell(headline(name, found[name]))) for name, title in titles.items()]


def _check_rows(report: AuditReport) -> list[tuple[str, ...]]:
    checks = [check for verdict in report.verdicts.values() for check in verdict.checks]
    return [
        (
            cell(check_title(check)),
            ", ".join(filter(None, (cell(with_interval(check.estimate)), cell(seen_with(check))))),
            cell(number(check.threshold)),
            check.decision.value,
        )
        for check in checks
    ]


def _finding(report: AuditReport) -> str:
    found = report.verdict.finding
    return f"Membership: **{found.word.value}**. {cell(finding_sentences(report), limit=500)}" if found else ""


def _flags(report: AuditReport) -> str:
    return "\n".join(f"- Read with care. {cell(flag, limit=400)}" for flag in said_of(report, "flags"))


def _not_run(report: AuditReport) -> str:
    lost = [result for result in report.results if result.status is not Status.OK]
    if not lost:
        return ""
    names = ", ".join(f"{cell(result.name)} ({result.status.value})" for result in lost)
    return f"Not run: {names}. The audit card says why."
