"""The eICU cohort on made-up files."""

from __future__ import annotations

import pytest
from clinical_files import Eicu, replace_line, small_eicu

from mlflow_clinsec.datasets.cohort.build import build_cohort
from mlflow_clinsec.datasets.cohort.eicu import branch_line, entry_line
from mlflow_clinsec.datasets.cohort.options import CohortOptions
from mlflow_clinsec.datasets.stay_text import SEPARATOR
from mlflow_clinsec.errors import DataError

SECRET = "Jane Doe has sarcoidosis"


def built(made: Eicu, folder, **options):
    return build_cohort("eicu", str(made.write(folder)), CohortOptions(**options))


def dropped(cohort):
    return {row.step: row.dropped for row in cohort.flow.itertuples() if row.dropped}


def test_entries_of_one_table_and_time_are_one_note(tmp_path):
    made = small_eicu()
    made.entry("note", 3, 90, "notes/x/Later", "Later", "seen again")
    made.entry("physicalExam", 3, 60, "notes/Exam/Pulses", "Pulses", "present")
    made.entry("diagnosis", 3, 30, "cardiovascular|shock|sepsis")
    made.entry("admissionDx", 3, 5, "admission diagnosis|All / any|Sepsis", "Sepsis", "Sepsis")
    made.entry("pastHistory", 3, 60, "notes/Past History/COPD/severe", "severe", "severe")
    cohort = built(made, tmp_path)
    assert cohort.frame["patient_id"].tolist() == [f"002-{i}" for i in range(1, 10)] + ["002-10", "002-11", "002-12"]
    assert cohort.frame.loc[2, "text"].split(SEPARATOR) == [
        "Admission diagnosis\nAll / any: Sepsis",
        "Diagnosis\ncardiovascular, shock, sepsis",
        "Past history\nCOPD: severe",
        "Physical exam\nPulses: present",
        "Note\nHR Current: 83\nGCS: scored",
        "Note\nLater: seen again",
    ]
    assert cohort.frame.loc[2, "label"] == "died"
    assert cohort.frame["label"].value_counts().to_dict() == {"alive": 8, "died": 4}
    assert dropped(cohort) == {}


def test_stays_and_entries_are_dropped_for_the_first_reason_that_holds(tmp_path):
    made = small_eicu()
    made.stay(20, "002-20", age="17")
    made.stay(21, "002-21", age="")
    made.stay(22, "002-22", age="> 89")
    made.stay(23, "002-23", hospitaldischargestatus="")
    made.stay(24, "002-24", unitdischargeoffset=2879)
    made.stay(25, "002-25", hospitaldischargeoffset=2879)
    made.stay(26, "002-26", unitdischargeoffset="")
    made.stay(31, "002-1", patienthealthsystemstayid=5001, unitvisitnumber=2)  # second unit stay of one hospital stay
    made.stay(32, "002-2", hospitaldischargeyear=2015, patienthealthsystemstayid=1)  # a later year
    made.stay(33, "002-3", patienthealthsystemstayid=1)  # the same year: the lower id counts as the first
    made.entry("note", 22, 2880, "notes/x/At the end", "At the end", "of the window")
    made.entry("note", 22, 2881, "notes/x/After", "After", "it")
    made.entry("note", 22, -1, "notes/x/Before", "Before", "it")
    made.entry("note", 22, "", "notes/x/Never", "Never", "")
    made.entry("note", 22, 7, "notes/x", "", "")
    cohort = built(made, tmp_path)
    assert dropped(cohort) == {
        "not the patient's first ICU stay": 3,
        "age unknown": 1,
        "younger than 18 years": 1,
        "outcome unknown": 1,
        "length of ICU stay unknown": 1,
        "ICU stay shorter than 48 h": 1,
        "died or left the hospital within 48 h, ICU stay recorded as longer": 1,
        "of a stay outside the cohort": 2,
        "without offset": 1,
        "charted before ICU admission": 1,
        "charted after the window": 1,
        "without text": 1,
        "without a note in the window": 1,
    }
    kept = cohort.frame.set_index("patient_id")
    assert kept.loc["002-22", "text"] == "Note\nAt the end: of the window"
    assert kept.loc["002-1", "stay_id"] == "1"
    assert kept.loc["002-2", "stay_id"] == "2"
    assert "002-3" not in kept.index  # its first stay is the one without a note


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (("notes/Exam/HR", "HR", "88"), "HR: 88"),
        (("notes/GCS/Score/scored", "scored", "Scored"), "Score: scored"),
        (("", "", "typed freely"), "typed freely"),
        (("notes/GCS", "awake", ""), "GCS: awake"),
        (("", "awake", ""), "awake"),
        (("notes/GCS", "", ""), ""),
    ],
)
def test_an_entry_is_a_line(cells, line):
    assert entry_line(cells) == line


def test_a_branch_is_told_from_its_root():
    assert branch_line(["cardiovascular|shock / hypotension| sepsis|"]) == "cardiovascular, shock / hypotension, sepsis"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", SECRET, "column 'age': expected a whole number"),
        ("age", ">89", "column 'age': expected a whole number"),
        ("hospitaldischargestatus", SECRET, "'hospitaldischargestatus': expected 'alive' or 'expired' or nothing"),
        ("unitdischargeoffset", "6000.5", "column 'unitdischargeoffset': expected a whole number"),
        ("hospitaldischargeyear", "", "column 'hospitaldischargeyear': expected a whole number, got nothing"),
        ("patientunitstayid", 1, "column 'patientunitstayid': repeats the id of an earlier line"),
        ("uniquepid", "", "has no usable 'uniquepid'"),
    ],
)
def test_broken_stays_are_told_by_line_and_column(column, value, message, tmp_path):
    made = small_eicu()
    made.stay(99, "002-99", **{column: value})
    refuses(made.write(tmp_path), f"patient.csv: line 14.*{message}")


def refuses(folder, message):
    with pytest.raises(DataError, match=message) as caught:
        build_cohort("eicu", str(folder))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"99,1,{SECRET},a,b,c", "note.csv: line 4, column 'noteoffset': expected a whole number"),
        ("1,1,60,a,b,c", "note.csv: line 4, column 'noteid': repeats"),
        (f"99,1,60,a,b,c,{SECRET}", "note.csv: line 4 has 7 fields, the header has 6"),
        (f'99,1,60,a,b,"{SECRET}', "note.csv: broken CSV in the record that begins at line 4"),
        (b"99,1,60,a,b,\xff", "note.csv: line 4 is not UTF-8"),
    ],
)
def test_broken_entries_are_told_by_line_and_column(text, message, tmp_path):
    small_eicu().write(tmp_path)
    replace_line(tmp_path / "note.csv", 4, text)
    refuses(tmp_path, message)


def test_missing_tables_and_columns_are_told(tmp_path):
    made = small_eicu()
    notes, made.charts = made.charts, {}
    made.write(tmp_path)
    refuses(tmp_path, "path: no table of charted entries; at least one is needed of admissionDx.csv, .*note.csv")
    made.charts = notes
    made.write(tmp_path, ".csv.gz")
    refuses(tmp_path, "path: 2 files of the table patient")
    (tmp_path / "patient.csv").unlink()
    assert len(build_cohort("eicu", str(tmp_path)).frame) == 12
    (tmp_path / "patient.csv.gz").write_bytes(b"no gzip")
    refuses(tmp_path, "patient.csv.gz: not readable as gzip")
    (tmp_path / "patient.csv.gz").unlink()
    (tmp_path / "note.csv.gz").unlink()
    small_eicu().write(tmp_path)
    replace_line(tmp_path / "patient.csv", 1, "patientunitstayid,uniquepid,ages")
    refuses(tmp_path, "patient.csv: the header has no column 'patienthealthsystemstayid'")
