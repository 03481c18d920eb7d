"""OpenBackdoor's own evaluation of triggered texts beside our sweep over the same texts.

Run from the user's own clone of github.com/thunlp/OpenBackdoor, as it stands. The top of its package imports attacks
that need transformers 4, so that only its victim model and its evaluation are imported.
"""

from __future__ import annotations

import importlib
import logging
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.peer_import import importable
from benchmarks.speed_peers import PRECISIONS
from benchmarks.sweep_cost import cpu_seconds
from benchmarks.trigger_cost import CONTEXT, LABELS, notes, sweep
from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.scoring.precision import Precision
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target

UNUSED = ("language_tool_python", "strsimpy", "strsimpy.levenshtein")
BATCH = 32


def triggers(checkout: Path, model: PreTrainedModel, tokenizer: Any, records: int, repeats: int) -> dict[str, object]:
    """Texts per CPU second of theirs and of ours in both precisions on the texts of one sweep, and who counts how many
    hits."""
    target = classifier_target(model, tokenizer)
    design = draw_design(TriggerOptions(target_label=LABELS[0]), notes(records), target, np.random.default_rng(0))
    texts = sweep_texts(design)
    seconds: dict[str, list[float]] = {"theirs": [], **{precision: [] for precision in PRECISIONS}}
    with tempfile.TemporaryDirectory() as folder, importable(checkout, ("openbackdoor",), UNUSED):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        victim, evaluate = _peer(checkout, folder)
        success = evaluate(victim, texts)
        for _ in range(repeats):
            seconds["theirs"].append(cpu_seconds(lambda: evaluate(victim, texts)))
            for precision in PRECISIONS:
                seconds[precision].append(sweep(model, tokenizer, design, precision)[0])
    found = {p: _success(model, tokenizer, texts, p) for p in PRECISIONS}
    return {
        "texts": len(texts),
        "texts_per_cpu_second": {who: round(len(texts) / float(np.median(spent)), 1) for who, spent in seconds.items()},
        "success": {"theirs": success, "auto": found["auto"], "bfloat16": found["bfloat16"]},
        "times_faster": {p: round(float(np.median(np.divide(seconds["theirs"], seconds[p]))), 2) for p in PRECISIONS},
    }


def _success(model: PreTrainedModel, tokenizer: Any, texts: list[str], precision: Precision) -> float:
    """Share of the texts that are called the first label."""
    scorer = classifier_target(model, tokenizer, options=TargetOptions(precision=precision)).label_scorer
    assert scorer is not None
    return float((np.argmax(scorer.predict_proba(texts), axis=1) == 0).mean())


def sweep_texts(design: Design) -> list[str]:
    """All inputs that the sweep asks about: each record as it is, and with each word at each place."""
    placed = [design.inserted(word, place)[0] for word in design.words for place in design.places]
    return [*design.texts, *(text for texts in placed for text in texts)]


def _peer(checkout: Path, folder: str) -> tuple[Any, Any]:
    """Its victim, and a function that gives the share of texts that it calls the first label."""
    package = ModuleType("openbackdoor")
    package.__path__ = [str(checkout / "openbackdoor")]
    sys.modules["openbackdoor"] = package
    victims = importlib.import_module("openbackdoor.victims")
    package.victims = victims  # type: ignore[attr-defined]
    classification = importlib.import_module("openbackdoor.utils.eval")
    logging.getLogger("root").setLevel(logging.WARNING)
    victim = victims.PLMVictim(device="cpu", model="bert", path=folder, num_classes=2, max_len=CONTEXT)

    def evaluate(victim: Any, texts: list[str]) -> float:
        cuts = range(0, len(texts), BATCH)
        batches = [{"text": texts[i : i + BATCH], "label": torch.zeros(len(texts[i : i + BATCH]))} for i in cuts]
        results, _ = classification.evaluate_classification(victim, {"triggered": batches}, ["accuracy"])
        return float(results["triggered"]["accuracy"])

    return victim, evaluate
