"""The audit card as a parser sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from mlflow_clinsec.report.card import render_card
from mlflow_clinsec.results import AuditReport, Family

PIXEL = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """Tags in order, visible text, and whether every tag is closed in turn."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open_tags:
            self.text += data

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def parsed(report: AuditReport) -> Page:
    figures = dict.fromkeys(("roc", "score_histograms"), PIXEL)
    if report.find(Family.BACKDOOR, "trigger"):
        figures["trigger_success"] = PIXEL
    page = Page()
    page.feed(render_card(report, figures))
    assert page.open_tags == []
    return page
