"""MIMIC-III v1.4: ``PATIENTS``, ``ADMISSIONS``, ``ICUSTAYS`` and ``NOTEEVENTS`` as CSV files.

The three small tables are read whole, of ``NOTEEVENTS`` (2 million notes, 4 GB) only what the window keeps. Read in
MIMIC-III's documentation: the birth of patients above 89 is moved so that they seem about 300 years old; discharge
summaries, and reports of echocardiograms and electrocardiograms, have a date but no chart time; ISERROR is 1 for a note
that a physician marked as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mlflow_clinsec.datasets.cohort.cells import Distinct, Record
from mlflow_clinsec.datasets.cohort.csv_table import find_table, read_table
from mlflow_clinsec.datasets.cohort.flow import Flow
from mlflow_clinsec.datasets.cohort.options import OLDEST, Charted, Stay

TABLES = ("PATIENTS", "ADMISSIONS", "ICUSTAYS", "NOTEEVENTS")

OTHER_PATIENT = "of a patient outside the cohort"
OTHER_ADMISSION = "of another admission, or of none"
MARKED_WRONG = "marked as an error"
DISCHARGE = "discharge summary"
NO_TIME = "without chart time"
REASONS = (OTHER_PATIENT, OTHER_ADMISSION, MARKED_WRONG, DISCHARGE, NO_TIME)

_DISCHARGE_CATEGORY = "discharge summary"
_NOTE_COLUMNS = ("ROW_ID", "SUBJECT_ID", "HADM_ID", "CHARTTIME", "CATEGORY", "ISERROR", "TEXT")


@dataclass(frozen=True)
class Admission:
    """One stay in the hospital."""

    patient: str = field(repr=False)
    admitted: datetime = field(repr=False)
    left: datetime | None = field(repr=False)
    died: bool = field(repr=False)


class MimicIII:
    """The files of one folder.

    Args:
        folder: holds the four tables, in upper or lower case, plain or gzipped.

    Raises:
        DataError: a table is missing, or there twice.
    """

    reasons: Sequence[str] = REASONS

    def __init__(self, folder: Path) -> None:
        self._files = {name: find_table(folder, name) for name in TABLES}
        self._starts: dict[str, datetime] = {}

    def stays(self, flow: Flow) -> list[Stay]:
        """All ICU stays whose patient and admission the files have; the others are counted.

        Raises:
            DataError: a cell cannot be read, an id comes twice, or a stay and its admission name two patients.
        """
        births, admissions = self._births(), self._admissions()
        rows = list(self._records("ICUSTAYS", ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "INTIME", "OUTTIME")))
        flow.start("stay", "ICU stays in the file", len(rows))
        known = flow.keep(
            "stay",
            "patient or admission not in the files",
            rows,
            lambda row: row.identifier("SUBJECT_ID") in births and row.identifier("HADM_ID") in admissions,
        )
        ids = Distinct("ICUSTAY_ID")
        return [self._stay(row, ids.check(row), births, admissions) for row in known]

    def notes(self, stays: Sequence[Stay]) -> Iterator[Charted]:
        """Every note, in the order of the file.

        Cells of notes that an earlier reason drops are not looked at.

        Raises:
            DataError: a cell cannot be read, or a note's id comes twice within the cohort.
        """
        cohort = {stay.patient: stay for stay in stays}
        ids = Distinct("ROW_ID")
        for record in self._records("NOTEEVENTS", _NOTE_COLUMNS):
            stay = cohort.get(record.identifier("SUBJECT_ID"))
            if reason := _not_a_candidate(record, stay):
                yield Charted(reason)
                continue
            assert stay is not None  # a patient outside the cohort is a reason
            ids.check(record)
            hours = _hours(record.needed_time("CHARTTIME"), self._starts[stay.stay])
            yield Charted("", stay.stay, hours, record.row["TEXT"])

    def _records(self, name: str, columns: Sequence[str]) -> Iterator[Record]:
        path = self._files[name]
        return (Record(path.name, line, row) for line, row in read_table(path, columns))

    def _births(self) -> dict[str, datetime]:
        ids = Distinct("SUBJECT_ID")
        rows = self._records("PATIENTS", ("SUBJECT_ID", "DOB"))
        return {ids.check(row): row.needed_time("DOB") for row in rows}

    def _admissions(self) -> dict[str, Admission]:
        ids = Distinct("HADM_ID")
        columns = ("SUBJECT_ID", "HADM_ID", "ADMITTIME", "DISCHTIME", "DEATHTIME", "HOSPITAL_EXPIRE_FLAG")
        return {ids.check(row): _admission(row) for row in self._records("ADMISSIONS", columns)}

    def _stay(self, row: Record, name: str, births: dict[str, datetime], admissions: dict[str, Admission]) -> Stay:
        patient, admission = row.identifier("SUBJECT_ID"), row.identifier("HADM_ID")
        hospital = admissions[admission]
        if hospital.patient != patient:
            raise row.error("SUBJECT_ID", "names another patient than the admission does")
        start, end = row.needed_time("INTIME"), row.time("OUTTIME")
        self._starts[name] = start
        return Stay(
            patient,
            admission,
            name,
            order=((start - datetime.min).total_seconds(),),
            age=age_at(hospital.admitted, births[patient]),
            length=None if end is None else _hours(end, start),
            left=None if hospital.left is None else _hours(hospital.left, start),
            died=hospital.died,
        )


def age_at(day: datetime, birth: datetime) -> int:
    """Whole years, negative before birth; ``OLDEST`` for everybody above 89."""
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    return min(years, OLDEST)


def _admission(row: Record) -> Admission:
    ends = [time for time in (row.time("DISCHTIME"), row.time("DEATHTIME")) if time is not None]
    return Admission(
        row.identifier("SUBJECT_ID"),
        row.needed_time("ADMITTIME"),
        min(ends, default=None),
        row.flag("HOSPITAL_EXPIRE_FLAG", blank=False),
    )


def _not_a_candidate(record: Record, stay: Stay | None) -> str:
    """The first reason to drop a note, or ""."""
    if stay is None:
        return OTHER_PATIENT
    if not record.text("HADM_ID") or record.identifier("HADM_ID") != stay.admission:
        return OTHER_ADMISSION
    if record.flag("ISERROR"):
        return MARKED_WRONG
    if record.text("CATEGORY").lower() == _DISCHARGE_CATEGORY:
        return DISCHARGE
    return "" if record.text("CHARTTIME") else NO_TIME


def _hours(time: datetime, start: datetime) -> float:
    return (time - start).total_seconds() / 3600
