"""Reading a cohort's tables: what is said of broken files, and how little of them is held in memory."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from clinical_files import gzipped, replace_line, small_mimic
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets.cohort import csv_table
from mlflow_clinsec.datasets.cohort.build import build_cohort
from mlflow_clinsec.errors import ConfigError, DataError

SECRET = "Jane Doe has sarcoidosis"


@pytest.mark.parametrize(
    ("table", "line", "text", "message"),
    [
        ("PATIENTS", 3, "2,2,F,", r"PATIENTS.csv: line 3, column 'DOB': expected a time, got nothing"),
        ("PATIENTS", 3, f"2,2,F,{SECRET}", r"PATIENTS.csv: line 3, column 'DOB': expected a time such as"),
        ("PATIENTS", 3, "2,2,F,2090-13-01 00:00:00", r"line 3, column 'DOB': expected a time such as"),
        ("PATIENTS", 3, "2,1,F,2090-03-01 00:00:00", r"line 3, column 'SUBJECT_ID': repeats the id of an earlier line"),
        ("PATIENTS", 3, ",,F,2090-03-01 00:00:00", r"PATIENTS.csv: line 3 has no usable 'SUBJECT_ID'"),
        ("PATIENTS", 3, "2,2,F", r"PATIENTS.csv: line 3 has 3 fields, the header has 4"),
        ("PATIENTS", 3, f"2,2,F,2090-03-01,{SECRET}", r"PATIENTS.csv: line 3 has 5 fields, the header has 4"),
        ("PATIENTS", 1, "ROW_ID,SUBJECT_ID,GENDER,DOD", r"the header has no column 'DOB'. Did you mean 'dod'"),
        ("PATIENTS", 1, "DOB,SUBJECT_ID,GENDER,dob", r"PATIENTS.csv: the header names the column 'DOB' 2 times"),
        ("PATIENTS", 4, f'3,3,F,"{SECRET}', r"PATIENTS.csv: broken CSV in the record that begins at line 4"),
        ("PATIENTS", 4, f'3,3,F,"2090" {SECRET}', r"PATIENTS.csv: broken CSV in the record that begins at line 4"),
        ("PATIENTS", 5, b"4,4,F,caf\xe9", r"PATIENTS.csv: line 5 is not UTF-8"),
        ("PATIENTS", 5, b"4,4,F,\0", r"PATIENTS.csv: line 5 holds a null byte"),
        ("PATIENTS", 5, b"x" * 2**22, r"PATIENTS.csv: line 5 is longer than 4194304 bytes"),
        ("ADMISSIONS", 2, "1,1,1001,2150-03-01,,,x,maybe,1", r"line 2, column 'HOSPITAL_EXPIRE_FLAG': expected 0 or 1"),
        ("ADMISSIONS", 2, "1,1,1001,2150-03-01,,,x,,1", r"line 2, column 'HOSPITAL_EXPIRE_FLAG': expected 0 or 1"),
        ("ICUSTAYS", 2, "1,2,1001,2001,x,2150-03-01,,1", r"line 2, column 'SUBJECT_ID': names another patient"),
        ("ICUSTAYS", 3, "1,1,1001,2001,x,2150-03-01,,1", r"ICUSTAYS.csv: line 3, column 'ICUSTAY_ID': repeats"),
        ("ICUSTAYS", 2, "1,1,1001,2001,x,,,1", r"ICUSTAYS.csv: line 2, column 'INTIME': expected a time, got nothing"),
    ],
)  # fmt: skip
def test_broken_tables_are_told_by_file_line_and_column(table, line, text, message, tmp_path):
    small_mimic().write(tmp_path)
    replace_line(tmp_path / f"{table}.csv", line, text)
    refuses(tmp_path, message)


def refuses(folder, message):
    with pytest.raises(DataError, match=message) as caught:
        build_cohort("mimic-iii", str(folder))
    assert SECRET not in str(caught.value)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"CHARTTIME": SECRET}, r"NOTEEVENTS.csv: line 50, column 'CHARTTIME': expected a time such as"),
        ({"CHARTTIME": "2150-03-01 25:00:00"}, r"line 50, column 'CHARTTIME': expected a time such as"),
        ({"ISERROR": SECRET}, r"NOTEEVENTS.csv: line 50, column 'ISERROR': expected 0 or 1"),
        ({"ROW_ID": 1}, r"NOTEEVENTS.csv: line 50, column 'ROW_ID': repeats the id of an earlier line"),
        ({"SUBJECT_ID": ""}, r"NOTEEVENTS.csv: line 50 has no usable 'SUBJECT_ID'"),
    ],
)
def test_broken_notes_are_told_by_the_line_on_which_they_begin(more, message, tmp_path):
    made = small_mimic()  # 24 notes of two lines each
    made.note(1, 1001, 3, f"{SECRET}\nand more", **more)
    made.write(tmp_path)
    refuses(tmp_path, message)


def test_a_note_whose_quote_is_never_closed_does_not_fill_the_memory(tmp_path):
    small_mimic().write(tmp_path)
    with (tmp_path / "NOTEEVENTS.csv").open("a") as file:
        file.write(f'99,1,1001,,,,,,,,"{SECRET}\n' + "more text\n" * 100_000)
    refuses(tmp_path, r"NOTEEVENTS.csv: broken CSV in the record that begins at line 50")


def test_a_file_cut_in_the_middle_of_a_note_is_refused(tmp_path):
    path = small_mimic().write(tmp_path) / "NOTEEVENTS.csv"
    path.write_bytes(path.read_bytes()[:-20])
    refuses(tmp_path, r"NOTEEVENTS.csv: broken CSV in the record that begins at line 48")


def test_missing_empty_doubled_and_falsely_packed_files_are_told(tmp_path):
    with pytest.raises(DataError, match="path: expected a folder"):
        build_cohort("mimic-iii", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=r"source: 'mimic' is unknown. Did you mean 'mimic-iii'"):
        build_cohort("mimic", str(tmp_path))
    refuses(tmp_path, r"path: no file of the table PATIENTS; one is needed: PATIENTS.csv or PATIENTS.csv.gz")
    path = small_mimic().write(tmp_path) / "NOTEEVENTS.csv"
    text = path.read_bytes()
    packed = gzipped(path)
    packed.write_bytes(text)
    refuses(tmp_path, r"NOTEEVENTS.csv.gz: not readable as gzip after line 0")
    packed.write_bytes(gzip.compress(text)[:-30])
    refuses(tmp_path, r"NOTEEVENTS.csv.gz: not readable as gzip after line \d+")
    path.write_bytes(text)
    refuses(tmp_path, "path: 2 files of the table NOTEEVENTS")
    packed.unlink()
    path.write_bytes(b"")
    refuses(tmp_path, "NOTEEVENTS.csv: the file is empty; a header line is needed")
    path.write_bytes(text.splitlines()[0])
    refuses(tmp_path, r"cohort: no stay is left; the step that dropped most \(12\): without a note in the window")


def test_memory_holds_the_cohort_and_never_the_file_of_notes(tmp_path):
    made = small_mimic()
    made.patient(99, age=5)
    filler = "of no cohort " * 400
    for i in range(2000):  # 10 MB of notes of a child, and of the cohort's on later days
        made.note(99 if i % 2 else 1, 1001, 80, filler)
    made.write(tmp_path)
    assert (tmp_path / "NOTEEVENTS.csv").stat().st_size > 10_000_000
    tracemalloc.start()
    cohort = build_cohort("mimic-iii", str(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cohort.frame) == 12
    assert peak < 2_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_read_ahead_and_the_bar_counts_bytes_on_disk(packed, tmp_path, monkeypatch):
    made = small_mimic()
    for i in range(3000):
        made.note(1, 1001, 80, f"{i * 7919 % 10007} " * 60)
    path = made.write(tmp_path) / "NOTEEVENTS.csv"
    path = gzipped(path) if packed else path
    seen = []

    class Bar(csv_table.tqdm):
        def update(self, n=1):
            seen.append(n)
            return super().update(n)

    monkeypatch.setattr(csv_table, "tqdm", Bar)
    rows = csv_table.read_table(path, ["TEXT"])
    for _ in range(50):
        next(rows)
    assert 0 < sum(seen) < path.stat().st_size / 2
    for _ in rows:
        pass
    assert sum(seen) == path.stat().st_size


CORRUPT = st.tuples(
    st.sampled_from(["PATIENTS", "ADMISSIONS", "ICUSTAYS", "NOTEEVENTS"]),
    st.floats(0, 1),
    st.integers(0, 40),
    st.sampled_from([b"", b'"', b",", b"\n", b"\r", b"\xff", b"\0", b"-1", b'"\n"', b"2150-01-01", "é".encode()]),
)


@settings(deadline=None)  # an example writes and reads files
@given(change=CORRUPT, packed=st.booleans())
def test_any_damage_to_a_file_is_a_cohort_or_one_clear_error(change, packed, tmp_path_factory):
    folder = small_mimic().write(tmp_path_factory.mktemp("damaged"))
    name, place, removed, added = change
    path = folder / f"{name}.csv"
    path = gzipped(path) if packed else path
    content = path.read_bytes()
    at = int(place * len(content))
    path.write_bytes(content[:at] + added + content[at + removed :])
    try:
        assert len(build_cohort("mimic-iii", str(folder)).frame) <= 12
    except DataError as error:
        said = str(error)
        assert said.startswith((path.name, "cohort: no stay is left", "ICUSTAYS.csv", "part "))
        assert "resting" not in said
        assert "stable" not in said


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    small_mimic().write(tmp_path)

    def refuse(self, *args):
        raise PermissionError(13, "denied", SECRET)

    monkeypatch.setattr("pathlib.Path.open", refuse)
    refuses(tmp_path, r"PATIENTS.csv: cannot be read after line 0 \(PermissionError\)")
