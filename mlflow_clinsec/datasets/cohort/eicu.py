"""eICU Collaborative Research Database v2.0 and its open demo: ``patient`` and tables of what was charted.

Read in eICU's documentation: offsets are minutes since admission to the unit; everybody above 89 has the age "> 89";
``uniquepid`` is the patient, ``patienthealthsystemstayid`` one stay in the hospital, ``unitvisitnumber`` counts the
unit stays within it. Of the date of a hospital stay only the year is told.

eICU holds no free text as MIMIC-III does: a note is a set of rows, each an entry that was picked or typed. The rows of
one stay, table and offset are put together as one note here, a line each. That layout is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow_clinsec.datasets.cohort.cells import Distinct, Record
from mlflow_clinsec.datasets.cohort.csv_table import SUFFIXES, find_table, read_table, tables
from mlflow_clinsec.datasets.cohort.flow import Flow
from mlflow_clinsec.datasets.cohort.options import OLDEST, Charted, Stay
from mlflow_clinsec.datasets.cohort.rules import STAY
from mlflow_clinsec.errors import DataError

PATIENT = "patient"
OTHER_STAY, NO_TIME = "of a stay outside the cohort", "without offset"
REASONS = (OTHER_STAY, NO_TIME)

_ABOVE_89 = "> 89"
_DIED = "expired"
_PATIENT_COLUMNS = (
    "patientunitstayid",
    "patienthealthsystemstayid",
    "uniquepid",
    "age",
    "hospitaldischargeyear",
    "hospitaldischargeoffset",
    "hospitaldischargestatus",
    "unitvisitnumber",
    "unitdischargeoffset",
)


@dataclass(frozen=True)
class Chart:
    """A table of charted entries.

    Attributes:
        title: first line of the notes made of it.
        key: column of the entries' ids.
        offset: column of the minutes since admission to the unit.
        cells: columns that ``line`` reads.
        line: the text of one entry, from those cells.
    """

    title: str
    key: str
    offset: str
    cells: tuple[str, ...]
    line: Callable[[Sequence[str]], str]


def entry_line(cells: Sequence[str]) -> str:
    """ "value: text" of an entry's path, value and text; where text says no more than value, "step: value".

    The step is the last of the path that is not the value itself: ``.../GCS/Score/scored``, ``scored``, ``scored`` is
    "Score: scored". Steps are divided by "|" in some tables and by "/" in others.
    """
    path, value, text = cells
    if text and text.lower() != value.lower():
        return f"{value}: {text}" if value else text
    divider = "|" if "|" in path else "/"
    steps = [step for step in path.split(divider) if step and step.lower() != value.lower()]
    return f"{steps[-1]}: {value}" if steps and value else value


def branch_line(cells: Sequence[str]) -> str:
    """The steps of ``cardiovascular|shock|sepsis``, from the general to the special."""
    return ", ".join(step.strip() for step in cells[0].split("|") if step.strip())


CHARTS: dict[str, Chart] = {
    "admissionDx": Chart(
        "Admission diagnosis",
        "admissiondxid",
        "admitdxenteredoffset",
        ("admitdxpath", "admitdxname", "admitdxtext"),
        entry_line,
    ),
    "pastHistory": Chart(
        "Past history",
        "pasthistoryid",
        "pasthistoryoffset",
        ("pasthistorypath", "pasthistoryvalue", "pasthistoryvaluetext"),
        entry_line,
    ),
    "physicalExam": Chart(
        "Physical exam",
        "physicalexamid",
        "physicalexamoffset",
        ("physicalexampath", "physicalexamvalue", "physicalexamtext"),
        entry_line,
    ),
    "diagnosis": Chart("Diagnosis", "diagnosisid", "diagnosisoffset", ("diagnosisstring",), branch_line),
    "treatment": Chart("Treatment", "treatmentid", "treatmentoffset", ("treatmentstring",), branch_line),
    "note": Chart("Note", "noteid", "noteoffset", ("notepath", "notevalue", "notetext"), entry_line),
}
"""Tables that are read where the folder has them; what they have at one time is told in this order."""


class EICU:
    """The files of one folder.

    Args:
        folder: holds ``patient`` and at least one table of ``CHARTS``, in any case, plain or gzipped.

    Raises:
        DataError: a table is there twice, ``patient`` is missing, or no chart is there.
    """

    reasons: Sequence[str] = REASONS

    def __init__(self, folder: Path) -> None:
        self._patient = find_table(folder, PATIENT)
        self._charts = {name: find_table(folder, name) for name in CHARTS if tables(folder, name)}
        if not self._charts:
            known = ", ".join(name + SUFFIXES[0] for name in CHARTS)
            raise DataError(f"path: no table of charted entries; at least one is needed of {known}.")

    def stays(self, flow: Flow) -> list[Stay]:
        """All unit stays.

        Raises:
            DataError: a cell cannot be read, or a stay comes twice.
        """
        ids = Distinct("patientunitstayid")
        found = [_stay(row, ids.check(row)) for row in self._records(self._patient, _PATIENT_COLUMNS)]
        flow.start(STAY, "ICU stays in the files", len(found))
        return found

    def notes(self, stays: Sequence[Stay]) -> Iterator[Charted]:
        """Every charted entry, table by table; cells of entries of other stays are not looked at.

        Raises:
            DataError: a cell cannot be read, or an entry's id comes twice within the cohort.
        """
        cohort = {stay.stay for stay in stays}
        for name, path in self._charts.items():
            chart = CHARTS[name]
            ids = Distinct(chart.key)
            for record in self._records(path, ("patientunitstayid", chart.key, chart.offset, *chart.cells)):
                stay = record.identifier("patientunitstayid")
                if stay not in cohort:
                    yield Charted(OTHER_STAY)
                    continue
                ids.check(record)
                yield _entry(record, stay, chart)

    def _records(self, path: Path, columns: Sequence[str]) -> Iterator[Record]:
        return (Record(path.name, line, row) for line, row in read_table(path, columns))


def _stay(row: Record, name: str) -> Stay:
    """Hospital stays of one year cannot be put in order: there the lowest id counts as the first."""
    year, hospital, visit = (
        row.needed_whole(column) for column in ("hospitaldischargeyear", "patienthealthsystemstayid", "unitvisitnumber")
    )
    status = row.choice("hospitaldischargestatus", ("", "alive", _DIED))
    return Stay(
        patient=row.identifier("uniquepid"),
        admission=str(hospital),
        stay=name,
        order=(year, hospital, visit),
        age=_age(row),
        length=_hours(row.whole("unitdischargeoffset")),
        left=_hours(row.whole("hospitaldischargeoffset")),
        died=status == _DIED if status else None,
    )


def _age(row: Record) -> int | None:
    return OLDEST if row.text("age") == _ABOVE_89 else row.whole("age")


def _entry(record: Record, stay: str, chart: Chart) -> Charted:
    minutes = record.whole(chart.offset)
    if minutes is None:
        return Charted(NO_TIME)
    text = chart.line([record.text(column) for column in chart.cells])
    return Charted("", stay, minutes / 60, text, heading=chart.title)


def _hours(minutes: int | None) -> float | None:
    return None if minutes is None else minutes / 60
