"""Headless Chromium, with a profile of its own and nothing in the background."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "hide-scrollbars",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def headless_chromium(
    profile: Path, *, window: str = "1280,900", scripts: bool = True, logs: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """A driven browser; the test is skipped where there is none.

    Args:
        profile: folder of its own.
        window: width and height in pixels.
        scripts: whether pages may run scripts.
        logs: what ``get_log`` shall give, such as ``{"performance": "ALL"}``.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = next(filter(None, map(shutil.which, NAMES)), None), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"window-size={window}", f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    if logs:
        options.set_capability("goog:loggingPrefs", dict(logs))
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()
