"""Strict reading of nested mappings into frozen dataclasses.

A key nobody knows, a value of the wrong type or out of range is an error that names the key's full path, what is
allowed and what came. The dataclass is the only place where a setting is declared.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from mlflow_clinsec.errors import ConfigError, did_you_mean

T = TypeVar("T")


def setting(default: Any = dataclasses.MISSING, *, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with closed bounds on its number (or on each number of a sequence)."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def parse(cls: type[T], value: Any, path: str) -> T:
    """Read a mapping into ``cls``.

    Args:
        cls: a frozen dataclass; its annotations, defaults and :func:`setting` bounds are the rules.
        value: what the user gave.
        path: dotted place of ``value`` in the configuration, for messages.

    Raises:
        ConfigError: unknown or missing key, wrong type, value out of range.
    """
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: expected a mapping of settings, got {_shown(value)}.")
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    for key in value:
        if key not in fields:
            raise ConfigError(f"{path}: unknown key {key!r}.{did_you_mean(str(key), fields)}")
    hints = typing.get_type_hints(cls)
    read = {key: _read(hints[key], item, f"{path}.{key}", fields[key].metadata) for key, item in value.items()}
    missing = [name for name, field in fields.items() if name not in read and _required(field)]
    if missing:
        raise ConfigError(f"{path}: missing required key {missing[0]!r}.")
    try:
        return cls(**read)
    except ConfigError:
        raise
    except ValueError as error:  # a dataclass that checks itself
        raise ConfigError(f"{path}: {error}") from error


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read(hint: Any, value: Any, path: str, bounds: Mapping[str, Any]) -> Any:
    """Check one value against its annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, path, bounds)
    if origin is typing.Literal:
        return _read_choice(arguments, value, path)
    if origin is tuple:
        return tuple(_read(arguments[0], item, path, bounds) for item in _sequence(value, path))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _read_mapping(arguments, value, path, bounds)
    if dataclasses.is_dataclass(hint):
        return parse(cast(type, hint), value, path)
    return _read_scalar(hint, value, path, bounds)


def _read_union(options: tuple[Any, ...], value: Any, path: str, bounds: Mapping[str, Any]) -> Any:
    if value is None and type(None) in options:
        return None
    choices = [option for option in options if option is not type(None)]
    errors = []
    for option in choices:
        try:
            return _read(option, value, path, bounds)
        except ConfigError as error:
            errors.append(error)
    raise (errors[-1] if len(choices) == 1 else ConfigError(f"{path}: {'; or '.join(_tail(e, path) for e in errors)}"))


def _tail(error: ConfigError, path: str) -> str:
    return str(error).removeprefix(f"{path}: ")


def _read_choice(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    if value in choices and not isinstance(value, bool):
        return value
    raise ConfigError(f"{path}: {_shown(value)} is not allowed.{did_you_mean(str(value), map(str, choices))}")


def _sequence(value: Any, path: str) -> Sequence[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise ConfigError(f"{path}: expected a list, got {_shown(value)}.")
    return value


def _read_mapping(arguments: tuple[Any, ...], value: Any, path: str, bounds: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: expected a mapping, got {_shown(value)}.")
    return {str(key): _read(arguments[1], item, f"{path}.{key}", bounds) for key, item in value.items()}


def _read_scalar(hint: Any, value: Any, path: str, bounds: Mapping[str, Any]) -> Any:
    if hint is Any:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number:
        value = float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not hint:
        raise ConfigError(f"{path}: expected {_NAMES.get(hint, hint.__name__)}, got {_shown(value)}.")
    if hint in (int, float):
        _check_bounds(value, path, bounds)
    return value


def _check_bounds(value: float, path: str, bounds: Mapping[str, Any]) -> None:
    low, high = bounds.get("low"), bounds.get("high")
    if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
        upper = "" if high is None else f" and at most {high}"
        raise ConfigError(f"{path}: must be at least {low}{upper}, got {value}.")


_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def _shown(value: Any) -> str:
    """A value for a message. Only short scalars of the configuration are quoted; frames and lists never are."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return repr(value[:60]) if isinstance(value, str) else f"a {type(value).__name__}"
