"""Forward passes in bfloat16, for models whose weights are float32.

Matrix products and attention run in bfloat16 under torch's autocast, which rounds their inputs to 8 significant bits
and leaves weights, residual stream and norms as they are. The output layer does not: its result would be rounded as
well, by up to 0.06 at a logit of 20, and records that the model tells apart would tie. Log-probabilities and their
moments are float32 throughout.

Autocast holds for one thread, so that an audit beside this one keeps its own precision. Nothing is left behind: no
weight is cast in place, and the hooks on the output layer go with the context.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal

import torch

from mlflow_clinsec.scoring.modes import input_device

Precision = Literal["auto", "bfloat16"]
"""What passes compute in: the type that the model was loaded in, or bfloat16."""

_AS_LOADED: ContextVar[bool] = ContextVar("as_loaded", default=False)


@contextmanager
def computing_in(precision: Precision, model: Any) -> Iterator[None]:
    """Run a model's forward passes in a precision; all of them, since cast weights are kept until the end.

    Args:
        precision: "auto" changes nothing.
        model: any transformers model, PEFT or not. One that :func:`can_reduce` refuses runs as it was loaded.
    """
    if precision == "auto" or _AS_LOADED.get() or not can_reduce(model):
        yield
        return
    with torch.autocast(input_device(model).type, torch.bfloat16), _exact_output(model):
        yield


@contextmanager
def as_loaded() -> Iterator[None]:
    """Whatever precision is asked for inside, in this thread, passes run as the model was loaded."""
    token = _AS_LOADED.set(True)
    try:
        yield
    finally:
        _AS_LOADED.reset(token)


def can_reduce(model: Any) -> bool:
    """Whether bfloat16 is less than the model was loaded in, and its device has units that compute in it."""
    device = input_device(model).type
    if (device == "cuda" and not torch.cuda.is_bf16_supported()) or (device == "cpu" and not _has_tiles()):
        return False
    floats = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
    return floats == {torch.float32} and torch.amp.is_autocast_available(device)


def _has_tiles() -> bool:
    """Without AMX tiles an x86 processor takes longer in bfloat16 than in float32 (docs/performance.md). One of which
    an older torch says nothing is taken to have none."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("amx_bf16", platform.machine().lower() not in ("x86_64", "amd64")))


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """No autocast inside: products of float32 tensors are float32."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def computing_dtype(model: Any) -> torch.dtype:
    """The type that products are rounded to, inside a context of this module or outside."""
    device = input_device(model).type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    found: torch.dtype = next(model.parameters()).dtype
    return found


@contextmanager
def _exact_output(model: Any) -> Iterator[None]:
    """Float32 in the layer that gives the logits."""
    layer = _output_layer(model)
    if layer is None:
        yield
        return
    left: list[AbstractContextManager[Any]] = []

    def enter(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        left.append(full_precision(layer.weight.device))
        left[-1].__enter__()
        return tuple(x.float() if torch.is_tensor(x) and x.is_floating_point() else x for x in inputs)

    def leave(*_: Any) -> None:
        left.pop().__exit__(None, None, None)

    hooks = layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _output_layer(model: Any) -> Any:
    """A language model's output embedding, or the last layer with one output for each class; None without either."""
    found = model.get_output_embeddings()
    if found is not None:
        return found
    classes = getattr(model.config, "num_labels", None)
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    return next((layer for layer in reversed(linear) if layer.out_features == classes), None)
