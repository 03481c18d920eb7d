"""Files laid out as MIMIC-III's and eICU's, made up: nothing here stems from a patient."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mlflow_clinsec.datasets.stay_text import MARK

Rows = list[dict[str, Any]]

ADMIT = pd.Timestamp("2150-03-01 08:00:00")


def at(hours: float, start: pd.Timestamp = ADMIT) -> str:
    """The time so many hours after a start, as MIMIC-III writes it."""
    return str((start + pd.Timedelta(hours=hours)).round("s"))


@dataclass
class Mimic:
    """Tables of MIMIC-III in its own columns; patients are added one by one."""

    patients: Rows = field(default_factory=list)
    admissions: Rows = field(default_factory=list)
    stays: Rows = field(default_factory=list)
    notes: Rows = field(default_factory=list)

    def patient(self, number: int, age: int = 60) -> None:
        birth = ADMIT - pd.DateOffset(years=age)
        self.patients.append({"ROW_ID": number, "SUBJECT_ID": number, "GENDER": "F", "DOB": str(birth)})

    def admission(self, number: int, patient: int, died: bool = False, left: float = 240.0) -> None:
        row = {"ROW_ID": number, "SUBJECT_ID": patient, "HADM_ID": number, "ADMITTIME": at(0)}
        row |= {"DISCHTIME": at(left), "DEATHTIME": at(left) if died else "", "DIAGNOSIS": 'SEPSIS, "SEVERE"'}
        self.admissions.append(row | {"HOSPITAL_EXPIRE_FLAG": int(died), "HAS_CHARTEVENTS_DATA": 1})

    def stay(self, number: int, patient: int, admission: int, start: float = 0.0, length: float | None = 120.0) -> None:
        end = "" if length is None else at(start + length)
        row = {"ROW_ID": number, "SUBJECT_ID": patient, "HADM_ID": admission, "ICUSTAY_ID": number}
        self.stays.append(row | {"DBSOURCE": "carevue", "INTIME": at(start), "OUTTIME": end, "LOS": (length or 0) / 24})

    def note(self, patient: int, admission: Any, hours: float | None, text: str, **more: Any) -> None:
        row = {"ROW_ID": len(self.notes) + 1, "SUBJECT_ID": patient, "HADM_ID": admission, "CHARTDATE": at(0)[:10]}
        row |= {"CHARTTIME": "" if hours is None else at(hours), "STORETIME": "", "CATEGORY": "Nursing"}
        self.notes.append(row | {"DESCRIPTION": "Report", "CGID": "", "ISERROR": "", "TEXT": text} | more)

    def whole(self, number: int, died: bool = False, age: int = 60, notes: int = 2) -> None:
        """A patient with one admission, one stay and some notes in the window."""
        self.patient(number, age)
        self.admission(1000 + number, number, died)
        self.stay(2000 + number, number, 1000 + number)
        for i in range(notes):
            self.note(number, 1000 + number, 1.0 + i, f'Note {i} of patient {number}: "stable",\nresting.')

    def write(self, folder: Path, suffix: str = ".csv", lower: bool = False) -> Path:
        tables = {"PATIENTS": self.patients, "ADMISSIONS": self.admissions, "ICUSTAYS": self.stays}
        for name, rows in (tables | {"NOTEEVENTS": self.notes}).items():
            frame = pd.DataFrame(rows)
            if lower:
                name, frame = name.lower(), frame.rename(columns=str.lower)
            frame.to_csv(folder / f"{name}{suffix}", index=False)
        return folder


def small_mimic(n: int = 12) -> Mimic:
    """Patients who all belong to the cohort; every third died."""
    made = Mimic()
    for i in range(1, n + 1):
        made.whole(i, died=i % 3 == 0)
    return made


def replace_line(path: Path, number: int, line: str | bytes) -> None:
    """Put another line in the place of line ``number``, counted from 1."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = (line if isinstance(line, bytes) else line.encode()) + b"\n"
    path.write_bytes(b"".join(lines))


def gzipped(path: Path) -> Path:
    """The same file, gzipped in its place."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


@dataclass
class Eicu:
    """Tables of eICU in its own columns."""

    patients: Rows = field(default_factory=list)
    charts: dict[str, Rows] = field(default_factory=dict)

    def stay(self, number: int, patient: str, **more: Any) -> None:
        row = {"patientunitstayid": number, "patienthealthsystemstayid": 5000 + number, "gender": "Male", "age": "61"}
        row |= {"hospitaldischargeyear": 2014, "hospitaldischargeoffset": 9000, "hospitaldischargestatus": "Alive"}
        row |= {"unitvisitnumber": 1, "unitdischargeoffset": 6000, "unitdischargestatus": "Alive", "uniquepid": patient}
        self.patients.append(row | more)

    def entry(self, table: str, stay: int, offset: Any, *cells: str) -> None:
        prefix = {"admissionDx": "admitdx"}.get(table, table.lower())
        names = {1: ("string",), 3: ("path", "value", "text")}[len(cells)]
        ending = {"admissionDx": ("path", "name", "text"), "pastHistory": ("path", "value", "valuetext")}
        rows = self.charts.setdefault(table, [])
        entered = f"{prefix}enteredoffset" if table == "admissionDx" else f"{prefix}offset"
        row = {f"{table.lower()}id": len(rows) + 1, "patientunitstayid": stay, entered: offset}
        rows.append(row | dict(zip((prefix + name for name in ending.get(table, names)), cells, strict=True)))

    def write(self, folder: Path, suffix: str = ".csv") -> Path:
        for name, rows in ({"patient": self.patients} | self.charts).items():
            pd.DataFrame(rows).to_csv(folder / f"{name}{suffix}", index=False)
        return folder


def small_eicu(n: int = 12) -> Eicu:
    """Stays that all belong to the cohort, each with one note of two entries; every third patient died."""
    made = Eicu()
    for i in range(1, n + 1):
        made.stay(i, f"002-{i}", hospitaldischargestatus="Expired" if i % 3 == 0 else "Alive")
        made.entry("note", i, 60, "notes/Progress Notes/Physical Exam/HR Current", "HR Current", str(80 + i))
        made.entry("note", i, 60, "notes/Progress Notes/Physical Exam/GCS/scored", "scored", "scored")
    return made


def split_notes(text: str) -> list[str]:
    """The notes of a stay's text, those without any character left out; [""] for an empty text."""
    return [note for part in text.split(MARK) if (note := part.strip())] or [""]
