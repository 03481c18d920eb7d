"""A fingerprint of a model that takes milliseconds, whatever its size."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

SAMPLE = 64
"""Values read from each tensor, evenly spaced from the first to the last."""


def model_digest(model: Any, tokenizer: Any) -> str:
    """SHA-256 hex digest over names, shapes, types and a sample of the values of all weights, and the vocabulary.

    Retraining moves nearly every weight, so a sample tells two trained models apart; a change to a few single
    weights may go unseen. It identifies what was audited and is no proof against tampering.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        flat = weight.detach().reshape(-1)
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        if flat.numel() and not flat.is_meta:
            places = torch.linspace(0, flat.numel() - 1, min(SAMPLE, flat.numel()), dtype=torch.float64).long()
            values = flat[places.to(flat.device)].to("cpu", torch.float64)
            digest.update(values.numpy().tobytes())
    vocabulary = tokenizer.get_vocab() if tokenizer is not None else {}
    digest.update(json.dumps(vocabulary, sort_keys=True).encode())
    return digest.hexdigest()
