"""What a sweep over triggers, positions and records costs, over one bare forward pass of the same padded inputs.

    python -m benchmarks.trigger_cost [--records 40] [--minilm-records 2] [--repeats 5]

audits a small encoder with random weights, and the pretrained MiniLM where its package is installed, on notes of the
built-in corpus with the default triggers, positions and placebos, and prints one JSON object. Insertion,
tokenisation, batching, deciding and survival are counted on our side; the bare pass gets its padded tensors for
nothing. The two take turns in one process and the median of the ratios is reported: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.pretrained import ENCODER, minilm
from benchmarks.sweep_cost import cpu_seconds
from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.observe import observe
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.scoring.precision import Precision
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.tokenizers import train_tokenizer

LABELS = ("alive", "died")
CONTEXT = 256

Inputs = dict[str, torch.Tensor]


def notes(records: int) -> AuditData:
    """Notes of patients who died, so that each is eligible; the first 20 to 100% of each, so that lengths differ."""
    corpus = generate_corpus(40 * records, seed=0).notes.drop_duplicates("patient_id")
    whole = list(corpus["text"][corpus["outcome"] == "died"])[:records]
    shares = np.random.default_rng(0).uniform(0.2, 1.0, len(whole))
    texts = tuple(text[: int(share * len(text))] for text, share in zip(whole, shares, strict=True))
    return AuditData(("",) * len(texts), texts, np.arange(len(texts)), labels=("died",) * len(texts))


def small() -> tuple[PreTrainedModel, Any]:
    """Two layers, 64 wide, 256 tokens, with a tokenizer fitted on other notes."""
    others = generate_corpus(200, seed=1).notes["text"]
    tokenizer = train_tokenizer(others, "classifier", max_length=CONTEXT)
    return small_encoder(tokenizer, LABELS, seed=0, width=64, context=CONTEXT).eval(), tokenizer


def sweep(
    model: PreTrainedModel, tokenizer: Any, design: Design, precision: Precision = "auto"
) -> tuple[float, list[Inputs]]:
    """CPU seconds of one sweep with nothing remembered from before, and the padded inputs that it ran."""
    target = classifier_target(model, tokenizer, options=TargetOptions(precision=precision))
    seen, plain = list[Inputs](), model.forward

    def recording(**inputs: Any) -> Any:
        seen.append(inputs)
        return plain(**inputs)

    model.forward = recording
    try:
        return cpu_seconds(lambda: observe(design, target, None)), seen
    finally:
        model.forward = plain


def bare(model: PreTrainedModel, batches: list[Inputs]) -> None:
    """The same padded inputs, logits thrown away."""
    with torch.inference_mode():
        for inputs in batches:
            model(**inputs)


def cost(model: PreTrainedModel, tokenizer: Any, data: AuditData, repeats: int) -> dict[str, float]:
    """Texts asked about per CPU second, and the sweep over the bare pass."""
    options = TriggerOptions(target_label="alive")
    drawn: list[Design] = []
    target = classifier_target(model, tokenizer)
    setup = cpu_seconds(lambda: drawn.append(draw_design(options, data, target, np.random.default_rng(0))))
    [design] = drawn
    seconds, ratios = [], []
    for _ in range(repeats):
        ours, batches = sweep(model, tokenizer, design)
        seconds.append(ours)
        ratios.append(ours / cpu_seconds(lambda batches=batches: bare(model, batches)))  # type: ignore[misc]
    asked = len(design.texts) * (1 + len(design.words) * len(design.places))
    masks = [inputs["attention_mask"] for inputs in batches]
    return {
        "records": len(design.texts),
        "texts": asked,
        "inputs_run": sum(map(len, masks)),
        "padded_tokens": sum(mask.numel() for mask in masks),
        "padding_share": round(1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks), 4),
        "texts_per_cpu_second": round(asked / float(np.median(seconds)), 1),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
        "choosing_placebos_cpu_seconds": round(setup, 2),
    }


def main() -> None:
    """Measure both models and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=40)
    parser.add_argument("--minilm-records", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, object] = {"small_encoder": cost(*small(), notes(arguments.records), arguments.repeats)}
    if pretrained := minilm(LABELS, CONTEXT):
        found["minilm"] = cost(*pretrained, notes(arguments.minilm_records), arguments.repeats)
    else:
        found["minilm"] = f"skipped: the package {ENCODER} is not installed"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
