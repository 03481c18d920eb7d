"""The built site: no warning, no request to anywhere else, readable on a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from documents import DOCS, PAGES
from headless_chromium import headless_chromium

pytestmark = pytest.mark.slow

PHONE, DESK = 360, 1280
FETCHED = re.compile(
    r"<(?:link|script|img|iframe|source|video|audio|object|embed)\b[^>]*?(?:href|src|data)=\"([^\"]+)\""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    if find_spec("sphinx") is None or find_spec("myst_parser") is None or find_spec("furo") is None:
        pytest.skip("the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("site")
    strict = ("--nitpicky", "--fail-on-warning", "--keep-going", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--builder", "html", *strict, str(DOCS), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_page_is_built(site: Path) -> None:
    for page in PAGES:
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()


def test_pages_and_styles_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = FETCHED.findall(page.read_text(encoding="utf-8"))
        assert fetched
        assert not [address for address in fetched if re.match(r"(?:https?:)?//", address)]
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    profile = tmp_path_factory.mktemp("profile")
    with headless_chromium(profile, logs={"performance": "ALL", "browser": "ALL"}) as window:
        yield window


@pytest.mark.browser
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_page_is_wider_than_the_screen_or_asks_elsewhere(browser: Any, address: str, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("performance")
    for page in PAGES:
        browser.get(f"{address}{page.relative_to(DOCS).with_suffix('.html')}")
        seen = browser.execute_script(
            "const root = document.documentElement;"
            "return [root.scrollWidth <= root.clientWidth, [...document.images].every(i => i.naturalWidth > 0)]"
        )
        assert seen == [True, True], page.name
    asked = re.findall(
        r'"url":"(https?://[^"]+)"', " ".join(entry["message"] for entry in browser.get_log("performance"))
    )
    assert asked
    assert not [url for url in asked if not url.startswith(address)]
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [message for message in errors if "/favicon.ico" not in message]
