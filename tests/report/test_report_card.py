"""The card's HTML, parsed: self-contained, escaped and accessible."""

from __future__ import annotations

from itertools import pairwise

import pytest
import report_factories as made
from card_page import PIXEL, Page, parsed

from mlflow_clinsec.report import palette
from mlflow_clinsec.report.card import render_card


@pytest.fixture(params=made.ALL)
def page(request: pytest.FixtureRequest) -> Page:
    return parsed(made.ALL[request.param]())


def test_nothing_is_loaded_and_nothing_runs(page: Page) -> None:
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base", "audio", "video"})
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/png;base64,"))
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_headings_run_in_order_from_one_h1(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_scopes_and_a_reachable_scroll_area(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    captions = {caption["id"] for caption in page.all("caption")}
    regions = [div for div in page.all("div") if div.get("class") == "scroll"]
    assert len(page.all("table")) == len(captions) == len(regions)
    assert all(region["role"] == "region" and region["tabindex"] == "0" for region in regions)
    assert {region["aria-labelledby"] for region in regions} == captions
    assert all(cell.get("scope") in {"col", "row", "colgroup"} for cell in page.all("th"))


def test_identifiers_are_unique_and_links_lead_somewhere(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert all(link["href"][1:] in identifiers for link in page.all("a"))


def test_every_figure_has_an_alternative_text(page: Page) -> None:
    assert page.all("img")
    assert all(len(image["alt"]) > 30 for image in page.all("img"))


def test_hostile_strings_are_shown_as_text() -> None:
    html = render_card(made.hostile(), {"trigger_success": PIXEL})
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    page = parsed(made.hostile())
    assert made.HOSTILE in page.text
    assert "[U+200B][U+202E]cf" in page.text


def test_per_record_scores_are_nowhere(page: Page) -> None:
    assert "12345" not in page.text


def test_card_colours_are_all_used() -> None:
    html = render_card(made.passing())
    assert all(colour in html for colour in palette.CARD.values())
