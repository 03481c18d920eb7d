"""The audit card as a PDF, without LaTeX and without system libraries.

Set in DejaVu Sans, which comes with Matplotlib; characters that it lacks are spelled out. The same report gives the
same bytes: the only date inside is that of the audit.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mlflow_clinsec.report import palette
from mlflow_clinsec.report.card_content import flags, title
from mlflow_clinsec.report.figure_style import spell_unknown
from mlflow_clinsec.report.mask_texts import mask_texts
from mlflow_clinsec.report.page_parts import Block, Fields, Picture, Section, Table
from mlflow_clinsec.report.pages import pages
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.report.titles import FAMILY_TITLES
from mlflow_clinsec.report.verdict_words import finding_sentences, verdict_sentence
from mlflow_clinsec.report.wording import visible, when
from mlflow_clinsec.results import AuditReport

FONT = "DejaVu Sans"
WIDEST = 34
"""Characters beyond which a column asks for no more room."""

_BOLD = 1.25
_MARGIN = 14.0
_PICTURE_WIDTH = 150.0
"""Millimetres."""

_MARKS = {"PASS": "✓", "FAIL": "✕", "INCONCLUSIVE": "?"}


def to_pdf(report: AuditReport, figures: Mapping[str, bytes] | None = None, min_cell: int = MIN_CELL) -> bytes:
    """The card as PDF bytes: verdict first, then what the HTML card holds, with a sign-off at the end.

    Args:
        report: what the audit found.
        figures: figure name -> PNG, as :func:`~mlflow_clinsec.report.figures.draw_figures` returns them.
        min_cell: counts below this are suppressed.
    """
    report = mask_texts(report, min_cell)
    document = _document(report)
    _verdict(document, report)
    for section in pages(report, figures or {}, min_cell):
        _section(document, section)
    return bytes(document.output())


def _document(report: AuditReport) -> Any:
    from fpdf import FPDF

    class Card(FPDF):
        """Pages numbered at the foot, with what they belong to."""

        def footer(self) -> None:
            self.set_y(-10)
            _style(self, 7.5, palette.CARD["muted"])
            self.cell(0, 5, _shown(f"{title(report)}, page {self.page_no()}", 110))

    document = Card(format="A4", unit="mm")
    document.set_margins(_MARGIN, _MARGIN)
    document.set_auto_page_break(True, margin=_MARGIN)
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        document.add_font(FONT, style, _font_folder() / name)
    document.set_creation_date(_date(report))
    document.set_title(_shown(f"{report.verdict.decision.value}: {title(report)}", 200))
    document.set_creator("mlflow-clinsec")
    document.set_producer("mlflow-clinsec")
    document.set_lang("en")
    document.add_page()
    return document


def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _date(report: AuditReport) -> datetime:
    try:
        return datetime.fromisoformat(report.started).astimezone(timezone.utc)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=timezone.utc)


def _shown(text: str, limit: int) -> str:
    return spell_unknown(visible(text, limit))


def _style(document: Any, size: float, colour: str = palette.CARD["ink"], bold: bool = False) -> None:
    document.set_font(FONT, "B" if bold else "", size)
    document.set_text_color(colour)


def _write(document: Any, text: str, size: float = 9, **style: Any) -> None:
    """A paragraph over the whole width. Line breaks of ours are kept; report strings have none by now."""
    _style(document, size, **style)
    document.multi_cell(0, size * 0.5, spell_unknown(text), align="L", new_x="LMARGIN", new_y="NEXT")
    document.ln(1)


def _verdict(document: Any, report: AuditReport) -> None:
    word = report.verdict.decision.value
    _write(document, title(report), 16, bold=True)
    _write(
        document,
        f"Privacy and integrity audit of a clinical language model, {when(report.started)}",
        8,
        colour=palette.CARD["muted"],
    )
    document.start_section("Verdict")
    _write(document, f"{_MARKS[word]} {word}", 18, colour=palette.CARD[f"{word.lower()}_ink"], bold=True)
    _write(document, verdict_sentence(report), 11)
    families = [f"{FAMILY_TITLES[family]}: {v.decision.value}" for family, v in report.verdicts.items()]
    _write(document, "; ".join(families))
    if report.verdict.finding:
        finding = report.verdict.finding
        _write(document, f"Membership: {finding.word.value}. {finding_sentences(report)}")
    for flag in flags(report):
        _write(document, f"Read with care. {flag}")


def _section(document: Any, section: Section) -> None:
    document.ln(3)
    if document.will_page_break(30):
        document.add_page()
    document.start_section(section.title)
    _write(document, section.title, 12, bold=True)
    for block in section.blocks:
        _block(document, block)


def _block(document: Any, block: Block) -> None:
    if isinstance(block, str):
        _write(document, block)
    elif isinstance(block, Table):
        _table(document, block)
    elif isinstance(block, Picture):
        _picture(document, block)
    else:
        _fields(document, block)


def _table(document: Any, table: Table) -> None:
    from fpdf.fonts import FontFace

    if document.will_page_break(25):
        document.add_page()
    _write(document, table.caption, 8.5, bold=True)
    _style(document, 7.5)
    document.set_draw_color(palette.CARD["rule"])
    with document.table(
        col_widths=widths(table),
        text_align="LEFT",
        line_height=3.6,
        padding=0.8,
        headings_style=FontFace(emphasis="BOLD", fill_color=palette.CARD["panel"]),
    ) as drawn:
        for row in (table.headings, *table.rows):
            drawn.row([spell_unknown(cell) for cell in row])
    document.ln(2)


def widths(table: Table) -> tuple[int, ...]:
    """Shares of the width: by the mean length of a column's lines, but no less than its longest word needs."""
    return tuple(_width(column) for column in zip(table.headings, *table.rows, strict=True))


def _width(column: Sequence[str]) -> int:
    lines = [max(len(line) for line in cell.split("\n")) for cell in column]
    heading, *cells = column
    words = [
        *(_room(word, _BOLD) for word in heading.split()),
        *(_room(word) for cell in cells for word in cell.split()),
    ]
    word = max(words, default=0)
    return min(max(word, round(sum(lines) / len(lines))), WIDEST) + 3


def _room(word: str, weight: float = 1.0) -> int:
    """Characters that a word takes the room of: capitals are wider, and so is bold type."""
    return round(weight * sum(1.4 if character.isupper() else 1.0 for character in word))


def _picture(document: Any, picture: Picture) -> None:
    across, down = struct.unpack(">II", picture.png[16:24])  # in the first chunk of every PNG
    width = min(_PICTURE_WIDTH, 190.0 * across / down)
    if document.will_page_break(width * down / across + 8):
        document.add_page()
    document.image(io.BytesIO(picture.png), w=width, alt_text=spell_unknown(picture.alt))
    _write(document, picture.caption, 8, colour=palette.CARD["muted"])


def _fields(document: Any, fields: Fields) -> None:
    """Names with values below each other; an empty value becomes a line to write on."""
    for name, value in fields.pairs:
        _write(document, f"{name}: {value}" if value else f"{name}:\n\n{'_' * 80}")
