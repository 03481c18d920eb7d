"""Reading a frame into :class:`AuditData`, refusing what cannot be audited before any forward pass.

Messages name columns and count rows; they never quote a value of a record.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.config_sections import DataConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets.manifest import read_canaries
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.levels import category_levels, rarity_bands, refuse_nested
from mlflow_clinsec.targets.answers import label_text
from mlflow_clinsec.targets.precomputed import collect_precomputed

logger = logging.getLogger(__name__)


def read_records(frame: pd.DataFrame, config: AuditConfig, target_column: str | None = None) -> AuditData:
    """Read the records that an audit needs.

    Args:
        frame: one row per record.
        config: says which columns hold what.
        target_column: the column that MLflow calls ``targets``; the labels when ``data.label`` is not set.

    Raises:
        DataError: no rows; a column missing; empty or missing text; a member column that is not boolean or has one
            class only; a patient on both sides; missing labels; a column of subgroups that holds no
            categories; a manifest of canaries that cannot be used.
    """
    if len(frame) == 0:
        raise DataError("data: there are no rows to audit.")
    prompts, responses = _texts(frame, config, target_column)
    group, grouped = _groups(frame, config.group)
    member = None
    if config.privacy is not None:
        member = _members(frame, config.privacy.member)
        _refuse_shared_patients(member, group)
    data = AuditData(
        prompts,
        responses,
        group,
        grouped,
        _labels(frame, config, target_column),
        member,
        ready_rewrites=_ready_rewrites(frame, config),
        canaries=_canaries(config),
        subgroups=_subgroups(frame, config, group),
        precomputed=collect_precomputed(frame, config.precomputed),
    )
    return _without_canaries(data)


def column(frame: pd.DataFrame, name: str, key: str) -> pd.Series[Any]:
    """One column, or an error that names the configuration key. Other columns' names are not shown: they are data."""
    if name not in frame.columns:
        close = difflib.get_close_matches(name, [str(c) for c in frame.columns], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise DataError(f"{key}: the data has no column {name!r} (it has {frame.shape[1]} columns).{hint}")
    repeated = list(frame.columns).count(name)
    if repeated > 1:
        raise DataError(f"{key}: the data has {repeated} columns named {name!r}; one is needed.")
    return frame[name]


def scalar_column(frame: pd.DataFrame, name: str, key: str) -> pd.Series[Any]:
    """A column whose cells can be compared: texts, numbers, flags or dates."""
    values = column(frame, name, key)
    refuse_nested(values, name, key)
    return values


def text_column(frame: pd.DataFrame, name: str, key: str) -> tuple[str, ...]:
    """A column of non-empty strings."""
    values = column(frame, name, key)
    bad = [i for i, value in enumerate(values) if not isinstance(value, str) or not value.strip()]
    if bad:
        raise DataError(
            f"{key}: column {name!r} must hold non-empty text; {len(bad)} of {len(values)} rows do not "
            f"(the first is row {bad[0]})."
        )
    return tuple(values)


def _texts(
    frame: pd.DataFrame, config: AuditConfig, target_column: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    columns = config.data
    if columns.prompt is None and columns.text is None and {"prompt", "response"} <= set(map(str, frame.columns)):
        columns = DataConfig(prompt="prompt", response="response")
    if columns.prompt is not None and columns.response is not None:
        prompts = text_column(frame, columns.prompt, "data.prompt")
        return prompts, text_column(frame, columns.response, "data.response")
    responses = text_column(frame, text_column_name(frame, config, target_column), "data.text")
    return ("",) * len(responses), responses


def text_column_name(frame: pd.DataFrame, config: AuditConfig, target_column: str | None) -> str:
    """The column of notes: the one that was named, or the only one that it can be.

    Raises:
        DataError: none or several could be it.
    """
    return config.data.text or _only_text_column(frame, _reserved(config, target_column))


def _reserved(config: AuditConfig, target_column: str | None) -> set[str]:
    """Columns that hold something other than the text."""
    named = [
        target_column,
        config.data.label,
        config.data.rarity,
        *config.data.subgroups,
        config.group,
        config.privacy.member if config.privacy else None,
    ]
    ready = config.privacy.paraphrase_columns if config.privacy else ()
    return {name for name in (*named, *ready, *_names(config.precomputed)) if name is not None}


def _names(value: Any) -> Iterable[str]:
    """All column names that a nested ``precomputed`` mapping mentions."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names(item)


def _only_text_column(frame: pd.DataFrame, reserved: set[str]) -> str:
    """The column of notes when the user did not name one."""
    if "text" in frame.columns:
        return "text"
    candidates = [
        str(name)
        for name in frame.columns
        if str(name) not in reserved and len(frame[name]) and isinstance(frame[name].iloc[0], str)
    ]
    if len(candidates) == 1:
        return candidates[0]
    raise DataError(
        f"data.text: {len(candidates)} columns could be the text; name it with data.text, "
        "or data.prompt and data.response."
    )


def _groups(frame: pd.DataFrame, name: str | None) -> tuple[NDArray[np.int64], bool]:
    """Patient codes; every record is its own patient when no column was named."""
    if name is None:
        return np.arange(len(frame), dtype=np.int64), False
    values = scalar_column(frame, name, "privacy.group")
    missing = int(values.isna().sum())
    if missing:
        raise DataError(f"privacy.group: column {name!r} has {missing} missing values; every record needs a patient.")
    return pd.factorize(values)[0].astype(np.int64), True


def _members(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """The member flags as booleans."""
    values = scalar_column(frame, name, "privacy.member")
    missing = int(values.isna().sum())
    if missing:
        raise DataError(f"privacy.member: column {name!r} has {missing} missing values; it must be true or false.")
    try:
        boolean = bool(values.isin([True, False]).all())
    except (TypeError, ValueError):
        boolean = False
    if not boolean:
        raise DataError(
            f"privacy.member: column {name!r} must hold true and false (or 1 and 0); its type is {values.dtype}."
        )
    member = values.astype(bool).to_numpy()
    if member.all() or not member.any():
        side = "members" if member.all() else "non-members"
        raise DataError(f"privacy.member: column {name!r} holds {side} only; membership needs records of both kinds.")
    return member


def _refuse_shared_patients(member: NDArray[np.bool_], group: NDArray[np.int64]) -> None:
    """A patient on both sides makes every patient-level number meaningless."""
    shared = np.intersect1d(group[member], group[~member]).size
    if shared:
        raise DataError(
            f"privacy.group: {shared} patients stand among both members and non-members; "
            "split by patient, or leave the mixed patients out."
        )


def _labels(frame: pd.DataFrame, config: AuditConfig, target_column: str | None) -> tuple[str, ...] | None:
    """True labels as the model names them."""
    name = config.data.label or target_column
    if config.backdoor is not None and name is None:
        raise DataError("data.label: a backdoor test needs true labels; pass targets= to evaluate, or set data.label.")
    if name is None or (name == config.data.response and config.data.label is None):
        return None
    key = "data.label" if config.data.label else "targets"
    values = scalar_column(frame, name, key)
    missing = int(values.isna().sum())
    if missing:
        raise DataError(f"{key}: column {name!r} has {missing} missing values; every record needs a label.")
    return tuple(config.data.label_names.get(text, text) for text in map(label_text, values))


def _subgroups(frame: pd.DataFrame, config: AuditConfig, group: NDArray[np.int64]) -> dict[str, tuple[str, ...]]:
    """Levels of each column that results are broken down by."""
    wanted, rarity = config.data.subgroups, config.data.rarity
    found = {name: category_levels(scalar_column(frame, name, "data.subgroups"), name) for name in wanted}
    if rarity is not None:
        found[f"rarity of {rarity}"] = rarity_bands(scalar_column(frame, rarity, "data.rarity"), group)
    return found


def _canaries(config: AuditConfig) -> AuditData | None:
    """The planted canaries, where there is a manifest of them."""
    path = config.privacy.canaries if config.privacy else None
    return None if path is None else read_canaries(path, config.data.label_names)


def _without_canaries(data: AuditData) -> AuditData:
    """The records that are no canaries of the manifest: those are judged apart, and are easier found than patients."""
    if data.canaries is None or data.member is None:
        return data
    known = set(zip(data.canaries.prompts, data.canaries.responses, strict=True))
    keep = np.array([pair not in known for pair in zip(data.prompts, data.responses, strict=True)], dtype=np.bool_)
    if not data.member[keep].any() or data.member[keep].all():
        raise DataError("privacy.canaries: all records of one side are canaries of the manifest; nothing else is left.")
    if not keep.all():
        logger.warning("clinsec: %d audited records are canaries of the manifest; left out", int((~keep).sum()))
    return data.select(keep)


def _ready_rewrites(frame: pd.DataFrame, config: AuditConfig) -> tuple[tuple[str, ...], ...]:
    """The user's own rewrites, column by column; a missing one is empty."""
    names = config.privacy.paraphrase_columns if config.privacy else ()
    key = "privacy.paraphrase_columns"
    return tuple(tuple(v if isinstance(v, str) else "" for v in column(frame, name, key)) for name in names)
