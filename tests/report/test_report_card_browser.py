"""The card in a real browser: no sideways scrolling, verdict first, readable colours, scripts off, nothing loaded."""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_factories as made
from headless_chromium import headless_chromium

from mlflow_clinsec.report import palette
from mlflow_clinsec.report.files import save_report

pypdf = pytest.importorskip("pypdf")
pytestmark = pytest.mark.browser

WIDTHS = (360, 768, 1280)
HEIGHT = 740


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium with scripts off, logging every request."""
    profile = tmp_path_factory.mktemp("profile")
    with headless_chromium(profile, scripts=False, logs={"performance": "ALL"}) as window:
        yield window


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every made-up audit's card, figures included."""
    folder = tmp_path_factory.mktemp("cards")
    return {name: save_report(make(), folder / name)[-1] for name, make in made.ALL.items()}


def open_card(browser: Any, card: Path, width: int) -> None:
    size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(card.as_uri())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", made.ALL)
def test_fits_the_screen_with_the_verdict_first(browser: Any, cards: dict[str, Path], name: str, width: int) -> None:
    open_card(browser, cards[name], width)
    page, window = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert page <= window
    bottom = browser.execute_script("return document.querySelector('.verdict').getBoundingClientRect().bottom")
    assert bottom <= HEIGHT


@pytest.mark.parametrize("name", made.ALL)
def test_nothing_is_requested_but_the_file_itself(browser: Any, cards: dict[str, Path], name: str) -> None:
    browser.get_log("performance")
    open_card(browser, cards[name], 1280)
    sent = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent
    assert not [message for message in sent if '"url":"http' in message]


def test_scripts_are_off_and_the_page_is_whole(browser: Any, cards: dict[str, Path], tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    probe.write_text("<title>off</title><script>document.title = 'on'</script>", encoding="utf-8")
    browser.get(probe.as_uri())
    assert browser.title == "off"
    open_card(browser, cards["backdoor_fail"], 768)
    assert browser.title == "FAIL: Audit of models:/mortality-clinicalbert/3"
    loaded = browser.execute_script("return [...document.images].map(image => image.naturalWidth > 0)")
    assert loaded == [True] * 4


CONTRAST_PROBE = """
const transparent = colour => colour === 'rgba(0, 0, 0, 0)';
const ground = element => {
  while (element && transparent(getComputedStyle(element).backgroundColor)) element = element.parentElement;
  return element ? getComputedStyle(element).backgroundColor : 'rgb(255, 255, 255)';
};
const pairs = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (walker.currentNode.data.trim()) pairs.add(getComputedStyle(element).color + '|' + ground(element));
}
return [...pairs];
"""


FOCUSABLE = "a, [tabindex]"
NAME = "e => e.getAttribute('href') || e.getAttribute('aria-labelledby')"
FOCUS_PROBE = f"""
const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
return {{
  name: ({NAME})(e), outline: style.outlineStyle, colour: style.outlineColor,
  inside: box.left >= 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
}};
"""
SCROLLED = "return arguments[0].scrollLeft"


def as_hex(colour: str) -> str:
    """A computed colour, "rgb(1, 2, 3)", as "#010203"."""
    red, green, blue = (int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return f"#{red:02X}{green:02X}{blue:02X}"


@pytest.mark.parametrize("name", made.ALL)
def test_all_text_as_painted_reaches_4_5(browser: Any, cards: dict[str, Path], name: str) -> None:
    open_card(browser, cards[name], 1280)
    pairs = [pair.split("|") for pair in browser.execute_script(CONTRAST_PROBE)]
    assert len(pairs) > 3
    for text, ground in pairs:
        assert palette.contrast(as_hex(text), as_hex(ground)) >= 4.5, (text, ground)


def test_wide_tables_scroll_by_keyboard(browser: Any, cards: dict[str, Path]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    open_card(browser, cards["backdoor_fail"], 360)
    area = browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=cap-triggers]")
    assert browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", area)
    browser.execute_script("arguments[0].focus()", area)
    assert browser.switch_to.active_element == area
    area.send_keys(Keys.ARROW_RIGHT)
    scrolled = WebDriverWait(browser, 10).until(lambda window: window.execute_script(SCROLLED, area))
    assert scrolled > 0


def test_on_a_phone_row_heads_stay_while_wide_tables_scroll_and_say_that_they_do(
    browser: Any, cards: dict[str, Path]
) -> None:
    open_card(browser, cards["backdoor_fail"], 360)
    region = "document.querySelector('[aria-labelledby=cap-triggers]')"
    browser.execute_script(f"{region}.scrollLeft = 400")
    left = f"return {region}.querySelector('tbody th').getBoundingClientRect().left - {region}.offsetLeft"
    assert abs(browser.execute_script(left)) < 2
    hint = "return getComputedStyle(document.querySelector(arguments[0]), '::after').content"
    assert "scroll sideways" in browser.execute_script(hint, "#cap-triggers span")
    assert browser.execute_script(hint, "#cap-access span") == "none"
    open_card(browser, cards["backdoor_fail"], 1280)
    assert browser.execute_script(hint, "#cap-triggers span") == "none"


def test_the_tab_key_visits_everything_in_order_and_shows_where_it_is(browser: Any, cards: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    open_card(browser, cards["backdoor_fail"], 1280)
    wanted = browser.execute_script(f"return [...document.querySelectorAll('{FOCUSABLE}')].map({NAME})")
    visited = []
    for _ in wanted:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        stop = browser.execute_script(FOCUS_PROBE)
        visited.append(stop["name"])
        assert stop["inside"], stop
        assert stop["outline"] == "solid", stop
        assert palette.contrast(as_hex(stop["colour"]), palette.CARD["paper"]) >= 3, stop
    assert visited == wanted
    assert wanted[0] == "#checks"


def test_the_skip_link_leads_past_the_navigation(browser: Any, cards: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    open_card(browser, cards["privacy_fail"], 1280)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.execute_script(FOCUS_PROBE)["name"] == "cap-checks"


@pytest.mark.parametrize("name", made.ALL)
def test_every_decision_is_a_word_and_not_only_a_colour(browser: Any, cards: dict[str, Path], name: str) -> None:
    open_card(browser, cards[name], 1280)
    said = browser.execute_script("return [...document.querySelectorAll('.decision')].map(e => e.innerText)")
    assert said
    assert {words.split()[-1] for words in said} <= {"PASS", "FAIL", "INCONCLUSIVE"}


def test_it_reads_whole_in_a_frame_that_allows_nothing(browser: Any, cards: dict[str, Path], tmp_path: Path) -> None:
    outside = tmp_path / "frame.html"
    outside.write_text(f"<iframe sandbox width=900 height=700 src='{cards['backdoor_fail'].as_uri()}'></iframe>")
    browser.get(outside.as_uri())
    browser.switch_to.frame(0)
    try:
        assert "This model failed the audit" in browser.execute_script("return document.body.innerText")
        loaded = browser.execute_script("return [...document.images].map(image => image.naturalWidth > 0)")
        page, window = browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
    finally:
        browser.switch_to.default_content()
    assert loaded == [True] * 4
    assert page <= window


@pytest.mark.parametrize("name", made.ALL)
def test_it_prints_without_cutting_tables(browser: Any, cards: dict[str, Path], name: str) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        open_card(browser, cards[name], 688)  # A4 less margins, in CSS pixels
        cut = browser.execute_script(
            "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert cut == 0
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    assert made.ALL[name]().verdict.decision.value in pages[0]
    printed = unicodedata.normalize("NFKC", " ".join(" ".join(pages).split()))  # the browser prints ligatures
    for heading in ("Policy checks", "What was not run, and why", "Provenance", "Sign-off", "Reviewed by"):
        assert heading in printed
    assert "Skip to the results" not in printed
    assert len(pages) < 15
