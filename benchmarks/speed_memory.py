"""Peak memory of scoring long texts under a large vocabulary, each case in a process of its own.

    python -m benchmarks.speed_memory sweep 8

prints the peak resident memory in MiB of a process that scores so many texts of 2,048 tokens with a model of 131,072
word pieces; ``bare`` instead of ``sweep`` runs the model's layers on one batch and makes no logits.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.sweep_cost import bare_forward
from mlflow_clinsec.scoring.batches import BATCH_TOKENS
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.sweep import sweep

VOCABULARY, TOKENS, WIDTH, LAYERS = 131_072, 2_048, 256, 2
RECORDS = (8, 64)


def peak(kind: str, records: int) -> float:
    """Peak MiB of a child process."""
    command = [sys.executable, "-m", "benchmarks.speed_memory", kind, str(records)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def memory() -> dict[str, object]:
    """Peaks of the sweep over few and many records, over that of the model and one batch's working set."""
    one_batch = max(1, BATCH_TOKENS // TOKENS)
    bare, logits = peak("bare", one_batch), peak("logits", 1)
    swept = {records: peak("sweep", records) for records in RECORDS}
    few, many = swept.values()
    return {
        "vocabulary": VOCABULARY,
        "tokens": TOKENS,
        "batch": one_batch,
        "mib": {"model_and_batch": bare, "logits_of_one_text": logits, "swept": swept},
        "sweep_over_model_and_batch": round(many / bare, 3),
        "many_over_few_records": round(many / few, 3),
    }


def main() -> None:
    """Score in this process and print its peak."""
    kind, records = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
    )
    model = LlamaForCausalLM(config).eval()
    rng = np.random.default_rng(0)
    pairs = [EncodedPair(rng.integers(0, VOCABULARY, TOKENS), np.arange(TOKENS) > 0) for _ in range(records)]
    if kind == "sweep":
        sweep(model, pairs)
    else:
        bare_forward(model if kind == "logits" else model.model, pairs)
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))


if __name__ == "__main__":
    main()
