"""What the benchmarks of scale share: generated records, tiny untrained models, workers that tell their CPU seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.engine import ray_pool
from mlflow_clinsec.engine.rows import Rows

WORDS = 40
NOTES_EACH = 4
TIMES = "CLINSEC_BENCHMARK_TIMES"
"""Environment variable with the folder in which workers leave their CPU seconds."""
FOUR = ("loss", "zlib", "min_k", "min_k_plus_plus")


def generate(folder: Path, records: int, words: int = WORDS, files: int = 4) -> str:
    """Notes of random words, four a patient, in Parquet files."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"word{i}" for i in range(300)])
    for number, rows in enumerate(np.array_split(np.arange(records), files)):
        texts = [" ".join(row) for row in vocabulary[rng.integers(300, size=(len(rows), words))]]
        patient = rows // NOTES_EACH
        frame = pd.DataFrame({"text": texts, "patient": patient, "member": patient % 2 == 0})
        frame.to_parquet(folder / f"{number:03d}.parquet", row_group_size=5000)
    return str(folder)


def settings(data_path: str, model: str, attacks: Sequence[str] = FOUR, **parts: Any) -> AuditConfig:
    """An audit of those files; ``parts`` are further keys."""
    privacy = {"member": "member", "group": "patient", "attacks": list(attacks)}
    scale = {"part_records": 500, "batch_records": 250, "model_uri": model, **parts.pop("scale", {})}
    return AuditConfig.from_mapping({"privacy": privacy, "data_path": data_path, "scale": scale, **parts})


def save_model(folder: Path, *, width: int = 128, layers: int = 4, heads: int = 4) -> str:
    """An untrained model of some 400 word pieces."""
    from transformers import pipeline

    from mlflow_clinsec.training.models import small_causal_lm
    from mlflow_clinsec.training.tokenizers import train_tokenizer

    tokenizer = train_tokenizer([f"word{i}" for i in range(300)], "causal-lm", vocab_size=400)
    model = small_causal_lm(tokenizer, seed=0, width=width, layers=layers, heads=heads)
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer)
    mlflow.transformers.save_model(pipe, str(folder), pip_requirements=["torch"])
    return str(folder)


class TimedWorker(ray_pool.RemoteWorker):
    """Leaves the CPU seconds of its scoring, loading left out, in a file of its own."""

    def score(self, part: Any) -> Rows | str:
        if self._worker is None:
            self._worker = self._plan.build()
        started = time.process_time()
        found = super().score(part)
        with (Path(os.environ[TIMES]) / f"{os.getpid()}").open("a") as file:
            file.write(f"{time.process_time() - started}\n")
        return found


def reset_peak() -> None:
    """Let the peak of this process's memory count from here on."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mib(name: str) -> float:
    """A figure of Linux's for this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
