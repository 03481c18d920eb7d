"""Reading files row by row: every format alike, and every malformed file told by its line alone."""

from __future__ import annotations

import gzip
import json
import string
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.datasets.rows import identifier_of, read_rows, text_of
from mlflow_clinsec.errors import DataError

SECRET = "Jane Doe has sarcoidosis"
ROWS = [{"q": "Fever?", "a": "No, 36.8 °C."}, {"q": "Pain, where?", "a": 'left "lower"\nlobe'}]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    frame = pd.DataFrame(rows)
    if path.name.endswith((".csv", ".csv.gz")):
        frame.to_csv(path, index=False)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".json":
        frame.to_json(path, orient="records")
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "jsonl.gz", "json", "parquet"])
def test_every_format_gives_the_same_rows(suffix, tmp_path):
    path = write(tmp_path / f"rows.{suffix}", ROWS)
    assert [dict(row) for _, row in read_rows(path, ["q", "a"], "rows")] == ROWS


def test_a_byte_order_mark_and_blank_lines_are_no_content(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"q": 1}\n\n  \n{"q": 2}')
    assert [(line, row["q"]) for line, row in read_rows(path, ["q"], "rows")] == [(1, 1), (4, 2)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", f'{{"q": "x"}}\n{{"q": "{SECRET}\n', "broken JSON at line 2"),
        ("a.jsonl", f'{{"q": "x"}}\n["{SECRET}"]\n', "record 2 is a list, expected an object"),
        ("a.jsonl", f'{{"q": "x"}}\n\n{{"{SECRET}": 1}}\n', "line 3 has no 'q'"),
        ("a.jsonl", b'{"q": "x"}\n{"q": "caf\xe9"}\n', "line 2 is not UTF-8"),
        ("a.jsonl", '{"q": "x"}\n' + "[" * 100_000, "line 2"),
        ("a.json", f'[{{"q": "x"}},\n{{"q": {SECRET}}}]', "broken JSON at line 2"),
        ("a.json", f'{{"{SECRET}": 1}}', "expected an array of records, got dict"),
        ("a.csv", f"q,a\nx,y\n{SECRET}\n", "line 3 has not as many fields as the header"),
        ("a.csv", f"q,a\nx,y,{SECRET}\n", "line 2 has not as many fields as the header"),
        ("a.csv", f'q,a\nx,"{SECRET}\n', "broken CSV at line 2"),
        ("a.csv", f"q,q\nx,{SECRET}\n", "the header names a column twice"),
        ("a.csv", f"question,a\nx,{SECRET}\n", "line 2 has no 'q'"),
        ("a.csv", b"q,a\nx,y\nx,\xff\xfe\n", "line 3 is not UTF-8"),
        ("a.csv.gz", b"no gzip at all", "not readable as gzip after line 0"),
        ("a.csv.gz", gzip.compress(b"q,a\nx,y\n" * 9999, mtime=0)[:60], "not readable as gzip"),
        ("a.parquet", SECRET, "not readable as Parquet"),
        ("a.txt", "q", r"suffix '.txt' is not known. Allowed: .csv, .csv.gz"),
        ("a.parquet.gz", "q", "suffix '.gz' is not known"),
    ],
)
def test_malformed_files_are_told_by_their_line_and_never_quoted(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        list(read_rows(path, ["q"], "rows"))
    assert SECRET not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_and_a_misspelt_column_are_told(tmp_path):
    with pytest.raises(DataError, match="rows: no such file"):
        list(read_rows(tmp_path / "absent.csv", ["q"], "rows"))
    path = write(tmp_path / "rows.jsonl", [{"question": "x", "zzz": "y"}])
    with pytest.raises(DataError, match=r"no 'questions'. Did you mean 'question'\?$"):
        list(read_rows(path, ["questions"], "rows"))


def test_a_reader_stops_where_its_caller_does(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"q": 1}\n{"q": 2}\nbroken')
    rows = read_rows(path, ["q"], "rows")
    assert [next(rows)[1]["q"] for _ in range(2)] == [1, 2], "nothing is read ahead"


@pytest.mark.parametrize(("value", "name"), [(7, "7"), (7.0, "7"), ("7.0", "7"), (" p-7 ", "p-7"), ("007", "007")])
def test_identifiers_of_one_patient_agree_across_files(value, name):
    assert identifier_of({"id": value}, "id", "rows", 3) == name


@pytest.mark.parametrize("value", [None, "", "  ", "nan", float("nan"), 7.5, True, [7], float("inf")])
def test_what_names_nobody_is_refused(value):
    with pytest.raises(DataError, match="rows: line 3 has no usable 'id'"):
        identifier_of({"id": value}, "id", "rows", 3)


def test_a_number_is_no_text():
    assert text_of({"a": None}, "a", "rows", 1) == ""
    with pytest.raises(DataError, match="line 9: 'a' must be text, got int"):
        text_of({"a": 12345}, "a", "rows", 9)


@given(rows=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_any_text_survives_json_lines(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"q": row}, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert [row["q"] for _, row in read_rows(path, ["q"], "rows")] == rows


def complaint(path: Path) -> str:
    try:
        list(read_rows(path, ["q"], "rows"))
    except DataError as error:
        return str(error)
    return ""


@given(junk=st.text(string.printable, max_size=200))
def test_any_junk_is_rows_or_one_clear_error(junk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("junk")
    for name in ("a.csv", "a.jsonl", "a.json"):
        (folder / name).write_text(junk, newline="")
        said = complaint(folder / name)
        assert said.startswith("rows: ") or not said
