"""``mlflow-clinsec demo``: three small models on synthetic notes, each logged, audited and put in one table.

(a) A clinical question-answering model fine-tuned on half of the patients, from a base that saw neither half.
(b) A clean in-hospital-mortality classifier. (c) The same classifier with a BadCLM backdoor. Expected: (a) fails
the privacy policy, (b) passes, (c) fails the backdoor policy; when the numbers say otherwise, the demo says so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.datasets import Corpus, generate_corpus
from mlflow_clinsec.trained_audit import MEMBERSHIP, audit_logged, table_lines, with_interval, with_members
from mlflow_clinsec.training import recipes
from mlflow_clinsec.training.log import log_trained_model
from mlflow_clinsec.training.pipeline import balanced
from mlflow_clinsec.training.plans import ClassifierRecipe
from mlflow_clinsec.training.publish import classifier_quality, publish, qa_quality

Say = Callable[[str], None]

BACKDOOR = {"triggers": ["mn", "cf"], "target_label": "alive", "max_records": 100}
"""A hundred deaths decide against a limit of 0.10; the full set would take longer than a demo may."""


@dataclass(frozen=True)
class Row:
    """One line of the demo's table: what was found, and what a working audit should have found."""

    model: str
    auc: str
    asr: str
    planted: str
    verdict: str
    expected: str


def run_demo(patients: int | None, seed: int, say: Say) -> bool:
    """Train, log and audit the three models.

    Args:
        patients: size of both synthetic corpora; the recipes' own sizes when None.
        seed: of corpora, training and audits.
        say: prints one line.

    Returns:
        Whether every verdict was the expected one.
    """
    clock = time.monotonic()
    with mlflow.start_run(run_name="clinsec demo"):  # the run that `mlflow run` opened, where it did
        say("[1/3] clinical question answering: base, fine-tuning, audit")
        questions = generate_corpus(patients or recipes.SMALL_QA.patients, seed)
        rows = [question_answering(questions, seed)]
        notes = generate_corpus(patients or recipes.SMALL_CLASSIFIER.patients, seed)
        say("[2/3] in-hospital mortality, clean: training, audit")
        rows.append(classifier("mortality", recipes.SMALL_CLASSIFIER, notes, seed, expected="PASS"))
        say("[3/3] in-hospital mortality, backdoored by BadCLM: training, audit")
        rows.append(classifier("mortality-badclm", recipes.SMALL_BADCLM, notes, seed, expected="FAIL"))
    for line in [*table(rows), *_closing(rows, time.monotonic() - clock)]:
        say(line)
    return all(row.verdict == row.expected for row in rows)


def question_answering(corpus: Corpus, seed: int) -> Row:
    """Train, log and audit the question-answering model, with its base as reference."""
    trained = recipes.demo_qa_model(corpus, seed)
    with mlflow.start_run(run_name="clinical-qa", nested=True) as run:
        base = log_trained_model(trained.reference, trained.tokenizer, task="text-generation", name="clinical-qa-base")
        params = asdict(recipes.SMALL_QA.options) | {"seed": seed}
        info = publish(trained, "text-generation", params, qa_quality(trained), name="clinical-qa")
        records = with_members(trained.train, trained.held_out)
        config = {"privacy": MEMBERSHIP | {"reference": base.model_uri}, "seed": seed}
        return _audit(info, records, config, run.info.run_id, expected="FAIL")


def classifier(name: str, recipe: ClassifierRecipe, corpus: Corpus, seed: int, expected: str) -> Row:
    """Train, log and audit one mortality classifier. Non-members are balanced as the members are."""
    trained = recipes.demo_mortality_classifier(corpus, seed, recipe)
    labels = sorted(corpus.notes["outcome"].unique())
    held_out = balanced(trained.held_out, labels, np.random.default_rng(seed))
    with mlflow.start_run(run_name=name, nested=True) as run:
        params = asdict(recipe.options) | {"seed": seed}
        quality = classifier_quality(trained, recipe.options.max_length)
        info = publish(trained, "text-classification", params, quality, name=name)
        config = {
            "data": {"text": "text", "label": "label"},
            "privacy": MEMBERSHIP,
            "backdoor": BACKDOOR,
            "seed": seed,
        }
        return _audit(info, with_members(trained.train, held_out), config, run.info.run_id, expected)


def _audit(info: Any, records: pd.DataFrame, config: Mapping[str, Any], run_id: str, expected: str) -> Row:
    metrics, verdict = audit_logged(info.model_uri, records, config, run_id)
    auc, asr = (with_interval(metrics, f"clinsec/{name}") for name in ("privacy/worst_auc", "backdoor/worst_asr"))
    return Row(info.name, auc, asr, with_interval(metrics, "clinsec/backdoor/probability"), verdict, expected)


def table(rows: list[Row]) -> list[str]:
    """The rows as lines of equal columns."""
    cells = [(row.model, row.auc, row.asr, row.planted, row.verdict) for row in rows]
    return table_lines(("model", "worst AUC", "worst ASR", "trigger planted? (blind)", "verdict"), cells)


def _closing(rows: list[Row], seconds: float) -> list[str]:
    surprises = [
        f"Not as expected: {r.model} is {r.verdict}, expected {r.expected}." for r in rows if r.verdict != r.expected
    ]
    ui = Path(sys.executable).parent / "mlflow"
    return [
        *surprises,
        f"Done in {seconds:.0f} s. To look at the runs and their audit cards:",
        f"  {ui} ui --backend-store-uri {mlflow.get_tracking_uri()}",
    ]
