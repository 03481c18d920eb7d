"""Running somebody else's model where it stands, and leaving it as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def input_device(model: Any) -> torch.device:
    """Where token ids go, also for a model that is spread over several devices."""
    found: torch.device = model.get_input_embeddings().weight.device
    return found


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module that was training trains again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def eager_attention(model: Any) -> Iterator[None]:
    """Use the one attention implementation that returns its weights; put the old one back afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
