"""Patient-disjoint random splits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlflow_clinsec.errors import ConfigError, DataError, did_you_mean


def _check(frame: pd.DataFrame, fractions: Mapping[str, float], column: str) -> None:
    if column not in frame.columns:
        raise DataError(f"no column {column!r} to split by.{did_you_mean(column, map(str, frame.columns))}")
    if frame[column].isna().any():
        raise DataError(f"column {column!r} has missing values: each row needs a patient to be split by.")
    for name, fraction in fractions.items():
        if not 0 < fraction <= 1:
            raise ConfigError(f"fraction {name!r} must lie in (0, 1], got {fraction!r}.")
    total = math.fsum(fractions.values())
    if not 0 < total <= 1 + 1e-9:
        raise ConfigError(f"fractions must name at least one part and sum to at most 1, got {total:g}.")


def split_patients(
    frame: pd.DataFrame, fractions: Mapping[str, float], seed: int, column: str = "patient_id"
) -> dict[str, pd.DataFrame]:
    """Deal patients at random into named parts; all rows of a patient stand on one side.

    Args:
        frame: one row per record.
        fractions: part name -> share of the **patients**; what is left to 1 is in no part.
        seed: of the draw. The draw depends on the set of patients, not on the order of the rows.
        column: names the patient.

    Returns:
        Part name -> its rows, in the order of ``frame`` and with its index.

    Raises:
        DataError: the column is missing or has missing values, or a part would be empty.
        ConfigError: a fraction is out of range or they sum to more than 1.
    """
    _check(frame, fractions, column)
    patients = np.array(sorted(frame[column].unique()), dtype=object)
    np.random.default_rng(seed).shuffle(patients)
    edges = np.rint(np.cumsum([0.0, *fractions.values()]) * len(patients)).astype(int)
    parts = {}
    for name, start, end in zip(fractions, edges[:-1], edges[1:], strict=True):
        if start == end:
            raise DataError(f"part {name!r} gets none of the {len(patients)} patients; give it a larger share.")
        parts[name] = frame[frame[column].isin(patients[start:end])]
    return parts
