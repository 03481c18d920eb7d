"""Run a peer's own code beside ours: the public toolkit of the window-based attack, from the user's own clone.

Give the folder of a clone of https://github.com/Stry233/WBC. It is imported as it stands, see
:mod:`benchmarks.peer_import`. The toolkit scores whole texts, question and answer alike.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.membership_fixtures import Attacked
from benchmarks.peer_import import importable, old_tokenizer
from benchmarks.peer_scores import WBC_WINDOWS
from mlflow_clinsec.scoring.limits import context_length

OWN = ("attacks", "utils")
ATTACKS = {"diff": "DiffAttack", "wbc": "WbcAttack"}
"""Its attacks against a reference that respect the model's context (its ratio attack cuts texts at 512 tokens)."""


def run_checkout(checkout: Path, attacked: Attacked, batch: int = 8) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Scores of all records by the toolkit's reference attacks, and the CPU seconds they took."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    tokenizer = attacked.tokenizer
    texts = Dataset.from_dict({"text": list(attacked.data.texts)})
    with importable(checkout, OWN), old_tokenizer(tokenizer), tempfile.TemporaryDirectory() as folder:
        attacked.base.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        settings = {
            "reference_model_path": folder,
            "device": "cpu",
            "context_window_lengths": list(WBC_WINDOWS),
            "max_length": context_length(attacked.model),
            "batch_size": batch,
        }
        started = time.process_time()
        scores = {name: _run(name, attacked, settings, texts) for name in ATTACKS}
        return scores, time.process_time() - started


def _run(name: str, attacked: Attacked, settings: dict[str, Any], texts: Any) -> NDArray[np.float64]:
    kind = getattr(importlib.import_module(f"attacks.{name}"), ATTACKS[name])
    attack = kind(name, attacked.model, attacked.tokenizer, settings, torch.device("cpu"))
    return np.array(attack.run(texts)[name], dtype=np.float64)
