"""What a model's scores depend on, beside the text: every weight, the configuration, the tokeniser, the code that runs.

Two models with the same identity give the same scores. A model whose code or weights cannot be told (code of its own,
patched modules, weights that are not loaded, a tokeniser that is not a fast one) has none, and nothing that it says is
kept for another audit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from mlflow_clinsec.scoring.heads import unwrapped
from mlflow_clinsec.scoring.modes import input_device
from mlflow_clinsec.store.digests import code_digest, digest_of, library_versions

logger = logging.getLogger(__name__)

KNOWN_CODE = ("torch", "transformers", "peft")
_PLACES = frozenset(
    {"_name_or_path", "name_or_path", "base_model_name_or_path", "_commit_hash", "transformers_version"}
)
"""Settings that say where a model came from, not what it computes."""
_THREADS = 8


def identity(model: Any, tokenizer: Any, device: str) -> str:
    """Hex digest of model, tokeniser, device and code; "" where one of them cannot be told.

    Takes about one CPU second per gigabyte of weights: they are all read, on several cores at once.

    Args:
        device: where the model is to run; see :func:`~mlflow_clinsec.targets.huggingface.place`.
    """
    if not (code_is_known(model) and getattr(tokenizer, "is_fast", False)):
        return ""
    try:
        parts = (_weights(model), _settings(model), _tokenizer(tokenizer), _machine(model, device))
        return digest_of(*parts, code_digest("scoring", "targets"), library_versions()).hex()
    except (RuntimeError, TypeError, NotImplementedError) as error:  # tensors of odd kinds have no plain bytes
        logger.info("clinsec: nothing of this model is kept between audits (%s)", type(error).__name__)
        return ""


def content_digest(model: Any, tokenizer: Any) -> str:
    """Hex digest of every weight, the configuration and the tokeniser, whatever machine or code runs them.

    A model whose content cannot be told (weights that are not loaded, a slow tokeniser) gets one of its own each time,
    so that it shares nothing with another.
    """
    try:
        return digest_of(_weights(model), _settings(model), _tokenizer(tokenizer)).hex()
    except (RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
        logger.info("clinsec: nothing that this model writes is kept (%s)", type(error).__name__)
        return secrets.token_hex(32)


def code_is_known(model: Any) -> bool:
    """Whether all modules are of the libraries, and none of them was patched or hooked by anybody else.

    transformers itself leaves hooks behind where attention weights were asked for.
    """
    hooks = (hook for m in model.modules() for hook in (*m._forward_hooks.values(), *m._forward_pre_hooks.values()))
    patched = any("forward" in vars(module) for module in model.modules())
    return not patched and all(map(_is_known, (*map(type, model.modules()), *hooks)))


def _is_known(code: Any) -> bool:
    return str(getattr(code, "__module__", "")).split(".")[0] in KNOWN_CODE


def _weights(model: Any) -> list[bytes]:
    """Digest of each tensor with its name, shape and type, several at once."""
    with ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(_tensor, *zip(*_tensors(model), strict=True)))


def _tensors(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, and buffers whether they are saved with the model or not."""
    named = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    yield from sorted(named.items())


def _tensor(name: str, tensor: torch.Tensor) -> bytes:
    if tensor.is_meta or tensor.is_sparse:
        raise TypeError("no content")
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    found = hashlib.blake2b(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode(), digest_size=32)
    found.update(content.data)
    return found.digest()


def _settings(model: Any) -> str:
    """The configuration, how text is generated, adapters and their state included."""
    inner = unwrapped(model)
    adapters = getattr(model, "peft_config", {})
    generation = getattr(inner, "generation_config", None)
    return _as_json(
        [
            type(model).__qualname__,
            type(inner).__qualname__,
            inner.config.to_dict(),
            generation.to_dict() if generation is not None else {},
            str(getattr(inner.config, "_attn_implementation", "")),
            {name: adapter.to_dict() for name, adapter in adapters.items()} if adapters else {},
            _switches(model) if adapters else [],
        ]
    )


def _switches(model: Any) -> list[Any]:
    """Which adapters each layer uses, and how strongly: a layer can be told otherwise than the configuration says."""
    return [
        (name, layer.disable_adapters, layer.active_adapters, layer.merged_adapters, getattr(layer, "scaling", {}))
        for name, layer in model.named_modules()
        if hasattr(layer, "merged_adapters")
    ]


def _tokenizer(tokenizer: Any) -> str:
    """What a fast tokeniser does with text; the limits that were set for its last call are no part of it."""
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    template = str(getattr(tokenizer, "chat_template", None))
    sides = (tokenizer.padding_side, tokenizer.truncation_side, str(tokenizer.model_max_length))
    kept = {key: value for key, value in core.items() if key not in ("truncation", "padding")}
    return _as_json([type(tokenizer).__qualname__, kept, tokenizer.special_tokens_map, template, sides])


def _machine(model: Any, device: str) -> str:
    """Kind of processor: another one rounds otherwise."""
    home = input_device(model)
    wanted = torch.device(("cuda" if torch.cuda.is_available() else home) if device == "auto" else device)
    if wanted.type == "cuda" and torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(wanted)} {torch.get_float32_matmul_precision()}"
    return f"{wanted.type} {torch.backends.cpu.get_cpu_capability()}"


def _as_json(value: Any) -> str:
    return json.dumps(_without_places(value), sort_keys=True, default=str)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_places(item) for key, item in value.items() if key not in _PLACES}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_without_places(item) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    return value
