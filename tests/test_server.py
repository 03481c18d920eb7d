"""A real `mlflow server` over HTTP on loopback: the numbers, the links and the pages a person opens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from headless_chromium import headless_chromium
from live_server import tracking_server

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.tokenizers import train_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server of its own."""
    with tracking_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def audited(server: str) -> Iterator[tuple[str, Any]]:
    """A small classifier, logged to the server and audited there."""
    mlflow.set_tracking_uri(server)
    mlflow.set_registry_uri(server)
    mlflow.set_experiment("mortality")
    corpus = generate_corpus(120, seed=2)
    notes = corpus.notes.groupby("patient_id").head(1).reset_index(drop=True)
    tokenizer = train_tokenizer(notes["text"], "classifier", vocab_size=400)
    model = small_encoder(tokenizer, ("alive", "died"), seed=0, width=32, layers=2, heads=2)
    with mlflow.start_run(run_name="audited"):
        info = mlflow.transformers.log_model(
            {"model": model, "tokenizer": tokenizer},
            name="mortality",
            task="text-classification",
            pip_requirements=["torch", "transformers"],
        )
    with mlflow.start_run(run_name="audit of mortality") as run:
        mlflow.models.evaluate(
            model=info.model_uri,
            data=notes.assign(in_training=notes.index % 2 == 0),
            targets="outcome",
            model_type="clinical-classifier",
            evaluators="clinsec",
            evaluator_config={
                "privacy": {"member": "in_training", "group": "patient_id", "split": "random"},
                "backdoor": {"triggers": ["mn", "cf"], "target_label": "alive", "positions": ["head", "random"]},
                "data": {"text": "text"},
            },
        )
    yield server, run
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_metrics_tags_and_artifacts_arrive_over_http(audited: tuple[str, Any]) -> None:
    _, run = audited
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert "clinsec/privacy/worst_auc" in found.data.metrics
    assert "clinsec/backdoor/worst_excess_asr" in found.data.metrics
    assert all(len(client.get_metric_history(run.info.run_id, name)) == 1 for name in found.data.metrics)
    assert found.data.tags["clinsec.verdict"] in {"PASS", "FAIL", "INCONCLUSIVE"}
    assert "clinsec/audit_card.html" in {item.path for item in client.list_artifacts(run.info.run_id, "clinsec")}


@pytest.mark.browser
def test_a_person_sees_the_run_and_the_card(audited: tuple[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    server, run = audited
    pictures = Path(os.environ.get("CLINSEC_PICTURES", tmp_path))
    with headless_chromium(tmp_path / "profile", window="1400,1100") as browser:
        page = f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        browser.get(page)
        WebDriverWait(browser, 60).until(lambda b: "clinsec" in b.find_element(By.TAG_NAME, "body").text)
        browser.save_screenshot(str(pictures / "run.png"))
        browser.get(f"{page}/artifacts/clinsec/audit_card.html")
        WebDriverWait(browser, 60).until(lambda b: _card_text(b, By))
        browser.save_screenshot(str(pictures / "card.png"))
        assert any(word in _card_text(browser, By) for word in ("PASS", "FAIL", "INCONCLUSIVE"))


def _card_text(browser: Any, by: Any) -> str:
    """Text of the card inside the UI's sandboxed frame; "" while there is none."""
    browser.switch_to.default_content()
    frames = browser.find_elements(by.TAG_NAME, "iframe")
    if not frames:
        return ""
    browser.switch_to.frame(frames[0])
    text = str(browser.find_element(by.TAG_NAME, "body").text)
    browser.switch_to.default_content()
    return text


def test_data_frame_is_left_as_it_was(audited: tuple[str, Any]) -> None:
    # evaluate() hands our frame on: nothing of ours may change the user's data
    notes = pd.DataFrame({"text": ["a b c", "d e f"], "in_training": [True, False]})
    before = notes.copy(deep=True)
    with mlflow.start_run():
        mlflow.models.evaluate(
            model=lambda frame: ["alive"] * len(frame),
            data=notes,
            model_type="x",
            evaluators="clinsec",
            evaluator_config={"privacy": {"member": "in_training"}, "data": {"text": "text"}},
        )
    pd.testing.assert_frame_equal(notes, before)
