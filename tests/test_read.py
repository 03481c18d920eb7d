"""Reading records: what is refused, by which words, and that no value is ever quoted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.read import read_records

SECRET = "SECRET-TEXT"


def _config(**parts: Any) -> AuditConfig:
    return AuditConfig.from_mapping({"privacy": {"member": "in_training", "group": "patient"}, **parts})


def _frame(**columns: Any) -> pd.DataFrame:
    base = {
        "text": [f"{SECRET} one", f"{SECRET} two", f"{SECRET} three", f"{SECRET} four"],
        "in_training": [True, True, False, False],
        "patient": [f"{SECRET}-a", f"{SECRET}-a", f"{SECRET}-b", f"{SECRET}-c"],
    }
    return pd.DataFrame({**base, **columns})


def test_records_are_read_and_patients_become_codes() -> None:
    data = read_records(_frame(), _config())
    assert data.prompts == ("",) * 4
    assert data.group.tolist() == [0, 0, 1, 2]
    assert data.member is not None
    assert data.member.tolist() == [True, True, False, False]
    assert SECRET not in repr(data)


def test_prompt_and_response_are_found_by_name() -> None:
    frame = _frame().rename(columns={"text": "prompt"}).assign(response=list("abcd"))
    assert read_records(frame, _config()).responses == tuple("abcd")


def test_only_text_column_is_found_without_a_name() -> None:
    frame = _frame().rename(columns={"text": "note"})
    assert read_records(frame, _config()).responses[0] == f"{SECRET} one"


@pytest.mark.parametrize(
    "flags", [[1, 1, 0, 0], [1.0, 1.0, 0.0, 0.0], np.array([True, True, False, False], dtype=object)]
)
def test_member_may_be_ones_and_zeros(flags: Any) -> None:
    data = read_records(_frame(in_training=flags), _config())
    assert data.member is not None
    assert data.member.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"in_training": [True] * 4}, r"privacy\.member: column 'in_training' holds members only"),
        ({"in_training": [False] * 4}, r"holds non-members only"),
        ({"in_training": ["yes", "yes", "no", "no"]}, r"must hold true and false"),
        ({"in_training": [0, 1, 2, 0]}, r"must hold true and false"),
        ({"in_training": [True, None, False, False]}, r"has 1 missing values"),
        ({"in_training": [True, float("nan"), False, False]}, r"has 1 missing values"),
        (
            {"text": ["a", "", "c", "d"]},
            r"data\.text: column 'text' must hold non-empty text; 1 of 4 rows .*row 1",
        ),
        ({"text": ["a", " \n", None, "d"]}, r"2 of 4 rows"),
        ({"text": ["a", "b", float("nan"), 4]}, r"2 of 4 rows do not \(the first is row 2\)"),
        ({"patient": ["a", "b", "b", "c"]}, r"privacy\.group: 1 patients stand among both"),
        ({"patient": ["a", None, "b", "c"]}, r"privacy\.group: column 'patient' has 1 missing"),
    ],
)
def test_bad_columns(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_records(_frame(**columns), _config())
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "key"),
    [("in_training", "privacy.member"), ("patient", "privacy.group"), ("text", "data.text")],
)
def test_missing_column_names_the_key(column: str, key: str) -> None:
    frame = _frame().rename(columns={column: column + "x"})
    config = _config(data={"text": "text"})
    with pytest.raises(DataError, match=rf"{key}: the data has no column '{column}' .*Did you mean '{column}x'\?"):
        read_records(frame, config)


def test_missing_label_column() -> None:
    config = AuditConfig.from_mapping({"backdoor": {"triggers": ["cf"]}, "data": {"label": "died"}})
    with pytest.raises(DataError, match=r"data\.label: the data has no column 'died'"):
        read_records(_frame(), config)


def test_backdoor_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match=r"needs true labels"):
        read_records(_frame(), AuditConfig.from_mapping({"backdoor": {"triggers": ["cf"]}}))


def test_missing_label_value() -> None:
    config = AuditConfig.from_mapping({"backdoor": {"triggers": ["cf"]}})
    with pytest.raises(DataError, match=r"targets: column 'died' has 1 missing values"):
        read_records(_frame(died=[0, 1, None, 0]), config, "died")


def test_labels_are_mapped_to_the_models_names() -> None:
    config = AuditConfig.from_mapping(
        {
            "backdoor": {"triggers": ["cf"]},
            "data": {"label": "died", "label_names": {"0": "alive", "1": "died"}},
        }
    )
    assert read_records(_frame(died=[0.0, 1.0, 0.0, 1.0]), config).labels == (
        "alive",
        "died",
        "alive",
        "died",
    )


def test_no_rows() -> None:
    with pytest.raises(DataError, match="no rows"):
        read_records(_frame().iloc[:0], _config())


def test_several_text_columns_must_be_named() -> None:
    frame = _frame().rename(columns={"text": "note"}).assign(other="words")
    with pytest.raises(DataError, match=r"data\.text: 2 columns could be the text"):
        read_records(frame, _config())
