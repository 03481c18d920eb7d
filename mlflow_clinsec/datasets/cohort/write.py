"""Writing a cohort: patient data, for its owner's eyes only, and never to MLflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pandas as pd

from mlflow_clinsec.errors import DataError

_WRITERS: Mapping[str, Callable[[pd.DataFrame, IO[bytes]], Any]] = {
    ".csv": lambda frame, file: frame.to_csv(file, index=False, encoding="utf-8"),
    ".parquet": lambda frame, file: frame.to_parquet(file, index=False),
}


def refuse_output(path: str, what: str = "out") -> None:
    """Refuse a place that :func:`write_cohort` could not write to, before hours of reading.

    Raises:
        DataError: another suffix, a file that is there already, or a folder that is not.
    """
    file = Path(path)
    if file.suffix not in _WRITERS:
        raise DataError(f"{what}: suffix {file.suffix!r} is not known. Allowed: {', '.join(_WRITERS)}.")
    if file.exists():
        raise DataError(f"{what}: {path!r} is there already and is not written over.")
    if not file.parent.is_dir():
        raise DataError(f"{what}: cannot write {path!r}: there is no such folder.")


def write_cohort(frame: pd.DataFrame, path: str) -> None:
    """Write a table as CSV or Parquet, by its suffix, readable by its owner alone (mode 0600).

    Raises:
        DataError: see :func:`refuse_output`.
    """
    refuse_output(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise DataError(f"out: cannot write {path!r} ({type(error).__name__}).") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            _WRITERS[Path(path).suffix](frame, file)
    except OSError as error:
        Path(path).unlink()  # half a cohort looks like a whole one
        raise DataError(f"out: cannot write {path!r} ({type(error).__name__}).") from None
