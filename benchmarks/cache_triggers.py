"""What is kept of a trigger test: class probabilities for the same model, the very same texts for its next version.

Placebos may be words of the records, so no design is ever stored: it is drawn from the seed again.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from benchmarks.trigger_cost import CONTEXT, LABELS, notes, small
from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.observe import observe
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.training.models import small_encoder


def trigger_reuse(records: int, folder: Path) -> dict[str, Any]:
    """CPU seconds and forward passes of three trigger tests over one cache, and whether all ask the same."""
    first, tokenizer = small()
    second = small_encoder(tokenizer, LABELS, seed=1, width=64, context=CONTEXT).eval()
    designs: list[Design] = []
    rows = {
        name: _test(model, tokenizer, records, folder, designs)
        for name, model in (("first", first), ("again", first), ("new_version", second))
    }
    return {**rows, "same_texts": all(_same(designs[0], design) for design in designs[1:])}


def _test(
    model: PreTrainedModel, tokenizer: Any, records: int, folder: Path, designs: list[Design]
) -> dict[str, float]:
    kind, passes = type(model), 0
    forward = kind.forward

    def counting(module: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal passes
        passes += 1
        return forward(module, *args, **kwargs)

    store, data = Store(folder, 5.0), notes(records)
    target = classifier_target(model, tokenizer, options=TargetOptions(store=store))
    start = time.process_time()
    design = draw_design(TriggerOptions(target_label=LABELS[0]), data, target, np.random.default_rng(0))
    drawn = time.process_time()
    kind.forward = counting
    try:
        observe(design, target, None)
    finally:
        kind.forward = forward
    done = time.process_time()
    store.close()
    designs.append(design)
    seconds = {"drawing_cpu_seconds": drawn - start, "sweep_cpu_seconds": done - drawn}
    return {name: round(value, 3) for name, value in seconds.items()} | {"forward_passes": passes}


def _same(one: Design, other: Design) -> bool:
    """Whether all fields are equal, arrays included."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(Design)]
    return all(repr(a) == repr(b) if isinstance(a, dict) else np.array_equal(a, b) for a, b in pairs)
