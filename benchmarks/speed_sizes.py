"""The five scores over a bare pass, for language models of three sizes: the head's share of a pass falls with size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.membership_fixtures import Attacked
from benchmarks.pretrained import LANGUAGE_MODEL, smollm
from benchmarks.speed_passes import made_up_model
from benchmarks.sweep_cost import sweep_cost

RECORDS, WORDS = 64, 60
"""Records for the larger models, and of each its answer's first words: enough for the combiner's 30 patients a side."""


def by_size(trained: Attacked, repeats: int) -> dict[str, object]:
    """On the trained model, on eight layers with random weights, and on a pretrained model where it is installed."""
    few, fewer_repeats = short(trained), min(repeats, 3)
    found: dict[str, object] = {
        "trained": sweep_cost(trained, repeats),
        "eight_layers_of_576": sweep_cost(replace(few, model=made_up_model()), fewer_repeats),
        "smollm2_135m": f"skipped: the package {LANGUAGE_MODEL} is not installed",
    }
    if pretrained := smollm():
        model, tokenizer = pretrained
        found["smollm2_135m"] = sweep_cost(replace(few, model=model, tokenizer=tokenizer), fewer_repeats)
    return found


def short(attacked: Attacked) -> Attacked:
    """The first words of a few records, members and others alike."""
    member, half = attacked.member, RECORDS // 2
    kept = attacked.data.select(np.where(member, np.cumsum(member), np.cumsum(~member)) <= half)
    responses = tuple(" ".join(text.split()[:WORDS]) for text in kept.responses)
    return replace(attacked, data=replace(kept, responses=responses))
