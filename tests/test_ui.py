"""Comparing audited runs in the MLflow UI, as a person does it: run list, charts, compare page, card, comparison."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner
from headless_chromium import headless_chromium
from live_server import tracking_server
from mlflow import MlflowClient

from mlflow_clinsec import tracking
from mlflow_clinsec.cli import main

sys.path.append(str(Path(__file__).parent / "report"))
import report_factories as made

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PATIENCE = 120
"""Seconds until a page must show what is asked for; the UI loads slowly on a busy machine."""

AUC = "clinsec/privacy/worst_auc"
MODELS = {
    "base": made.passing,
    "fine-tuned": made.privacy_fail,
    "dp": made.inconclusive,
    "paraphrase-aware": made.privacy_fail,
    "backdoored": made.backdoor_fail,
    "repaired": made.passing,
}


@dataclass(frozen=True)
class Audited:
    """A server, its experiment, run ids by name and the run that holds the comparison."""

    server: str
    experiment: str
    runs: dict[str, str]
    comparison: str

    def page(self, path: str) -> str:
        return f"{self.server}/#/experiments/{self.experiment}/{path}"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """Six made-up audits with parameters, and their comparison, on a real server."""
    with tracking_server(tmp_path_factory.mktemp("server")) as server:
        mlflow.set_tracking_uri(server)
        experiment = mlflow.set_experiment("release candidates").experiment_id
        runs = {name: _log(name) for name in MODELS}
        done = CliRunner().invoke(main, ["compare", "--experiment", "release candidates"])
        assert done.exit_code == 0, done.output
        yield Audited(server, experiment, runs, done.output.split()[-1])
        mlflow.set_tracking_uri(None)


def _log(name: str) -> str:
    with mlflow.start_run(run_name=name) as run:
        mlflow.log_params({"arm": name, "seed": 0, "poison_rate": 0.1 if name in ("backdoored", "repaired") else 0.0})
        tracking.log_report(
            MODELS[name](),
            client=MlflowClient(),
            run_id=run.info.run_id,
            log_metrics=True,
            dataset_name="notes",
            dataset_digest="abc123",
        )
    return str(run.info.run_id)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with headless_chromium(tmp_path_factory.mktemp("profile"), window="1700,1050") as window:
        yield window


def wait_for(browser: Any, ready: Callable[[Any], Any]) -> Any:
    """What ``ready`` returns once it is true; elements that the UI exchanged meanwhile are looked up anew."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(ready)


def text_of(browser: Any) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def open_page(browser: Any, address: str, *words: str) -> str:
    """Open a page of the UI and wait until it shows all the words; its text."""
    browser.get("about:blank")  # a change after the "#" alone would keep the old page
    browser.get(address)
    close_assistant(browser)
    wait_for(browser, lambda b: all(word in text_of(b) for word in words))
    return text_of(browser)


def close_assistant(browser: Any) -> None:
    """MLflow's chat panel opens by itself the first time and covers a quarter of the window."""
    browser.execute_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    if browser.execute_script("return localStorage.getItem('mlflow.assistant.panelOpen_v1')") == "true":
        browser.execute_script("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")
        browser.refresh()


def click_text(browser: Any, text: str) -> None:
    """Click what shows exactly this text."""
    path = f"//*[normalize-space(text())='{text}']"

    def click(window: Any) -> bool:
        found = [element for element in window.find_elements("xpath", path) if element.is_displayed()]
        if found:
            window.execute_script("arguments[0].click()", found[0])
        return bool(found)

    wait_for(browser, click)


TICK = """
const titles = [...document.querySelectorAll("[data-testid='column-selector-tree'] [class*='tree-title']")];
const found = titles.filter(title => title.innerText.trim() === arguments[0]);
if (found.length) found.at(-1).click();
return found.length > 0;
"""


def choose_columns(browser: Any, *names: str) -> None:
    """Tick columns of the run list in its chooser."""
    from selenium.webdriver.common.keys import Keys

    click_text(browser, "Columns")
    box = wait_for(browser, lambda b: b.find_element("css selector", "input[placeholder='Search columns']"))
    for name in names:
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(name)
        wait_for(browser, lambda b, wanted=name: b.execute_script(TICK, wanted))
    browser.find_element("css selector", "body").send_keys(Keys.ESCAPE)


def keep(browser: Any, name: str) -> None:
    """Keep a picture where ``CLINSEC_PICTURES`` names a folder; pages finish drawing first."""
    folder = os.environ.get("CLINSEC_PICTURES")
    if folder:
        time.sleep(5)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def in_frame(browser: Any, word: str) -> str:
    """Text inside the UI's sandboxed frame, once it holds the word."""

    def read(window: Any) -> str:
        window.switch_to.default_content()
        frames = window.find_elements("tag name", "iframe")
        if not frames:
            return ""
        assert "allow-same-origin" not in (frames[0].get_attribute("sandbox") or "")
        window.switch_to.frame(frames[0])
        text = text_of(window)
        window.switch_to.default_content()
        return text if word in text else ""

    return str(wait_for(browser, read))


def rows_of(browser: Any) -> list[str]:
    """Run names in the list, from top to bottom."""
    script = """
    const names = new Set(arguments[0]);
    return [...document.querySelectorAll('a')].filter(a => names.has(a.innerText.trim()))
      .map(a => [a.getBoundingClientRect().top, a.innerText.trim()]).sort((a, b) => a[0] - b[0]).map(a => a[1]);
    """
    return list(dict.fromkeys(browser.execute_script(script, list(MODELS))))


def sorted_list(audited: Audited, metric: str) -> str:
    return audited.page(f"runs?orderByKey=metrics.%60{metric.replace('/', '%2F')}%60&orderByAsc=false")


def test_the_run_list_sorts_by_a_headline_and_shows_our_columns(browser: Any, audited: Audited) -> None:
    open_page(browser, sorted_list(audited, AUC), *MODELS)
    choose_columns(browser, AUC, "clinsec/backdoor/worst_excess_asr", "clinsec.verdict", "arm")
    shown = {"clinsec/privacy/worst_auc", "clinsec.verdict", "FAIL", "INCONCLUSIVE", "PASS", "0.957", "0.53"}
    wait_for(browser, lambda b: all(word in text_of(b) for word in shown))
    logged = {name: tracking.metric_values(make())[AUC] for name, make in MODELS.items()}
    expected = {
        name: -1.0 if math.isnan(value) else value for name, value in logged.items()
    }  # undefined ones come last
    falling = sorted(expected.values(), reverse=True)  # rows glide to their places
    wait_for(browser, lambda b: [expected[name] for name in rows_of(b)] == falling)
    keep(browser, "ui_runs")


def test_charts_show_one_bar_per_run_with_the_headlines_in_groups(browser: Any, audited: Audited) -> None:
    groups = ("clinsec/backdoor\n(6)", "clinsec/privacy\n(8)", "clinsec/utility\n(3)")
    text = open_page(browser, audited.page("runs?compareRunsMode=CHART"), *MODELS, *groups)
    assert text.index("clinsec/backdoor/worst_asr") < text.index("clinsec/backdoor/worst_excess_asr")
    keep(browser, "ui_charts")


def test_the_compare_page_of_all_six(browser: Any, audited: Audited) -> None:
    ids = json.dumps(list(audited.runs.values())).replace('"', "%22").replace(" ", "")
    address = f"{audited.server}/#/compare-runs?runs={ids}&experiments=[%22{audited.experiment}%22]"
    text = open_page(browser, address, "Parallel Coordinates Plot", "Show diff only", "clinsec.privacy.worst_attack")
    assert all(name in text for name in MODELS)
    assert AUC in text  # the first metric of each run is the one that the plot begins with
    assert "poison_rate" in text
    for tag in ("clinsec.verdict", "clinsec.data_digest", "clinsec.config_digest", "clinsec.policy"):
        assert tag in text
    keep(browser, "ui_compare")


def test_the_run_and_its_card(browser: Any, audited: Audited) -> None:
    run = f"runs/{audited.runs['backdoored']}"
    text = open_page(browser, audited.page(run), AUC, "clinsec.verdict")
    assert "This model failed the audit" in text  # the note
    assert text.index(AUC) < text.index("clinsec/privacy/confidence/auc")
    keep(browser, "ui_run")
    open_page(browser, audited.page(f"{run}/artifacts/clinsec/audit_card.html"), "audit_card.html")
    assert "This model failed the audit" in in_frame(browser, "FAIL")
    keep(browser, "ui_card")


def test_the_comparison_opens_in_the_frame(browser: Any, audited: Audited) -> None:
    open_page(browser, audited.page(f"runs/{audited.comparison}"), "Worst trigger, ASR above placebo")
    address = audited.page(f"runs/{audited.comparison}/artifacts/clinsec/comparison.html")
    open_page(browser, address, "comparison.html")
    text = in_frame(browser, "All audits, worst first")
    assert text.index("backdoored") < text.index("fine-tuned") < text.index("repaired")
    keep(browser, "ui_comparison")
