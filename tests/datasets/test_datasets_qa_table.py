"""A plain table of prompt, response and patient."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from mlflow_clinsec.datasets.qa_table import QATable, load_qa_table
from mlflow_clinsec.errors import DataError

FRAME = pd.DataFrame(
    {
        "subject": [11, 11, 12],
        "ask": ["Fever?", "Pain?", "Fever?"],
        "say": ["No.", "Left lobe.", "38.9 °C."],
        "row": ["r1", "r2", "r3"],
        "seen": [True, True, False],
    }
)
COLUMNS = QATable(prompt="ask", response="say", patient="subject", record="row", member="seen")


@pytest.fixture(params=["csv", "jsonl", "json", "parquet"])
def table(request, tmp_path):
    def write(frame: pd.DataFrame) -> str:
        path = tmp_path / f"table.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        elif request.param == "parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=request.param == "jsonl")
        return str(path)

    return write


def test_columns_are_read_under_their_settled_names(table):
    found = load_qa_table(table(FRAME), COLUMNS)
    assert found.columns.tolist() == ["patient_id", "prompt", "response", "in_training"]
    assert found["patient_id"].tolist() == ["11", "11", "12"]
    assert found["response"].tolist() == FRAME["say"].tolist()
    assert found["in_training"].tolist() == [True, True, False]


def test_defaults_ask_for_three_columns(table):
    plain = FRAME.rename(columns={"ask": "prompt", "say": "response", "subject": "patient"})
    assert load_qa_table(table(plain)).shape == (3, 3)
    with pytest.raises(DataError, match=r"table: line \d has no 'patient'"):
        load_qa_table(table(plain.drop(columns="patient")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"say": ["No.", " ", "38.9"]}, r"line \d has an empty response; set skip_empty"),
        ({"ask": ["", "Pain?", "Fever?"]}, r"line \d has an empty prompt"),
        ({"subject": ["11", "", "12"]}, r"line \d has no usable 'subject'"),
        ({"row": ["r1", "r2", "r1"]}, r"line \d repeats the 'row' of an earlier line"),
        ({"seen": ["yes", "no", "no"]}, r"line \d: 'seen' must be true or false"),
    ],
)
def test_malformed_rows_are_told(change, message, table):
    with pytest.raises(DataError, match=message) as caught:
        load_qa_table(table(FRAME.assign(**change)), COLUMNS)
    assert "Fever" not in str(caught.value)


def test_blank_rows_can_be_left_out_and_are_counted(table, caplog):
    frame = FRAME.assign(say=["No.", None, "38.9"])
    with caplog.at_level(logging.WARNING):
        found = load_qa_table(table(frame), QATable("ask", "say", "subject", skip_empty=True))
    assert found["prompt"].tolist() == ["Fever?", "Fever?"]
    assert "1 rows without prompt or response were left out" in caplog.text


def test_no_rows_are_an_error(table):
    with pytest.raises(DataError, match="table: no rows"):
        load_qa_table(table(FRAME.iloc[:0]), COLUMNS)
