"""The records that a training command reads, checked before anything is trained. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mlflow_clinsec.datasets.layouts import NONE, make_layout
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.files import read_table
from mlflow_clinsec.read import column, text_column
from mlflow_clinsec.training.options import require

BUILT_IN = "builtin"
IN_TRAINING = "in_training"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where records come from, and what is left behind about them.

    Attributes:
        data_path: CSV, Parquet or JSON-lines file, or what ``layout`` reads; "builtin" for the synthetic corpus.
        layout: how question-answer data lies there; see :mod:`mlflow_clinsec.datasets.layouts`. "none" is a table whose
            columns are named here. A layout's own parts are dealt anew, by patient.
        layout_config: YAML or JSON file with the layout's settings.
        text, label: columns of a classification table.
        prompt, response: columns of a question-answering table.
        patient: column that names the patient; "" makes every row its own patient.
        patients: size of the synthetic corpus; 0 for the recipe's own.
        split_path: CSV file to write members and non-members to, with a column ``in_training``, so that an
            audit knows them; "" writes nothing. It holds the records' text and stays on this machine.

    Raises:
        ConfigError: a value is out of range.
    """

    data_path: str = BUILT_IN
    layout: str = NONE
    layout_config: str = ""
    text: str = "text"
    label: str = "label"
    prompt: str = "prompt"
    response: str = "response"
    patient: str = ""
    patients: int = 0
    split_path: str = ""

    def __post_init__(self) -> None:
        if self.layout != NONE:
            make_layout(self.layout, self.layout_config)
            require(self.data_path != BUILT_IN, "data_path", "a file or folder where a layout is named", BUILT_IN)
        require(self.patients >= 0, "patients", "0 or more", self.patients)
        if self.split_path:
            path = Path(self.split_path)
            require(path.suffix == ".csv", "split_path", "a .csv file", path.name)
            require(path.parent.is_dir(), "split_path", "in a folder that exists", self.split_path)


def read_notes(source: Source, patients: int, seed: int) -> pd.DataFrame:
    """Notes for a classifier: columns ``patient_id``, ``text`` and ``label``.

    Args:
        patients: size of the built-in corpus where ``source`` does not say.
        seed: of the built-in corpus.

    Raises:
        DataError: the file cannot be read, a column is missing, a text is empty, a label or patient is
            missing, or there are fewer than two labels.
    """
    if source.data_path == BUILT_IN:
        from mlflow_clinsec.datasets import generate_corpus

        notes = generate_corpus(source.patients or patients, seed).notes
        return notes.rename(columns={"outcome": "label"})
    frame = read_table(source.data_path)
    texts = text_column(frame, source.text, "text")
    labels = complete(frame, source.label, "label").astype(str)
    if (n_labels := labels.nunique()) < 2:
        raise DataError(f"label: column {source.label!r} holds {n_labels} label; 2 or more are needed")
    return pd.DataFrame({"patient_id": patient_ids(frame, source), "text": texts, "label": labels}, index=frame.index)


def read_pairs(source: Source, patients: int, seed: int) -> pd.DataFrame:
    """Question-answer pairs: columns ``patient_id``, ``prompt`` and ``response``. See :func:`read_notes`."""
    if source.data_path == BUILT_IN:
        from mlflow_clinsec.datasets import generate_corpus

        return generate_corpus(source.patients or patients, seed).qa
    if source.layout != NONE:
        return make_layout(source.layout, source.layout_config).load(source.data_path)
    frame = read_table(source.data_path)
    pairs = {key: text_column(frame, getattr(source, key), key) for key in ("prompt", "response")}
    return pd.DataFrame({"patient_id": patient_ids(frame, source), **pairs}, index=frame.index)


def patient_ids(frame: pd.DataFrame, source: Source) -> pd.Series[str]:
    """The patient of each row as a string; the row's own number without a patient column."""
    if not source.patient:
        return frame.index.to_series().astype(str)
    return complete(frame, source.patient, "patient").astype(str)


def complete(frame: pd.DataFrame, name: str, key: str) -> pd.Series[Any]:
    """A column without missing values."""
    values = column(frame, name, key)
    if missing := int(values.isna().sum()):
        raise DataError(f"{key}: column {name!r} has {missing} missing values")
    return values


def write_split(train: pd.DataFrame, held_out: pd.DataFrame, path: str) -> None:
    """Write members and non-members with a column ``in_training``, for an audit to read."""
    parts = [train.assign(**{IN_TRAINING: True}), held_out.assign(**{IN_TRAINING: False})]
    pd.concat(parts).to_csv(path, index=False)
