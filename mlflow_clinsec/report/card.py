"""The audit card: one self-contained HTML file for people who must sign a model off.

It opens in MLflow's sandboxed artifact frame, from disk and on paper; it holds no script and loads nothing.
Every string of the report is escaped by Jinja's autoescaping and made visible first.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from mlflow_clinsec.report import card_content, palette, titles, verdict_words
from mlflow_clinsec.report.environment import environment
from mlflow_clinsec.report.figures import FIGURE_TITLES, alt_text
from mlflow_clinsec.report.mask_texts import mask_texts
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.results import AuditReport, Family

TEMPLATE = "audit_card.html.j2"


def render_card(report: AuditReport, figures: Mapping[str, bytes] | None = None, min_cell: int = MIN_CELL) -> str:
    """The card as HTML.

    Args:
        report: what the audit found.
        figures: figure name -> PNG, as :func:`~mlflow_clinsec.report.figures.draw_figures` returns them.
        min_cell: counts below this are suppressed.
    """
    template = environment(min_cell).get_template(TEMPLATE)
    return str(template.render(_context(mask_texts(report, min_cell), figures or {}, min_cell)))


def _context(report: AuditReport, figures: Mapping[str, bytes], min_cell: int) -> dict[str, Any]:
    return {
        "report": report,
        "min_cell": min_cell,
        "colour": palette.CARD,
        "title": card_content.title(report),
        "limits": card_content.LIMITS,
        "sentence": verdict_words.verdict_sentence(report),
        "finding": report.verdict.finding,
        "finding_sentences": verdict_words.finding_sentences(report),
        "family_titles": titles.FAMILY_TITLES,
        "privacy_asked": Family.PRIVACY in report.verdicts or bool(report.of(Family.PRIVACY)),
        "integrity_asked": Family.BACKDOOR in report.verdicts or bool(report.of(Family.BACKDOOR)),
        "figures": {name: _figure(name, image, report) for name, image in figures.items()},
        **card_content.sections(report, min_cell),
    }


def _figure(name: str, image: bytes, report: AuditReport) -> dict[str, str]:
    uri = f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
    return {"title": FIGURE_TITLES[name], "alt": alt_text(name, report), "uri": uri}
