"""Loader for the layout of MIMIC-IV-Ext-Instr (MIMIC-Instruct), the data that Llemr was tuned on.

The user brings the credentialed files; this package holds none of them.

Read in Llemr's public code: ``qa_event.jsonl`` and ``qa_note.jsonl``, one question a line, with ``q``, ``a`` and
``hadm_id`` (admission); ``cohort_train.csv``, ``cohort_val.csv`` and ``cohort_test.csv`` with ``subject_id`` (patient)
and ``hadm_id``. A question belongs to the part of its admission. The code deals patients, but draws validation from all
of them, so that validation holds the test patients; train shares no patient with either.

Inferred: that the published files keep these names; hence every name can be set. CSV, JSON and Parquet are taken too.

Repaired on reading: patients of several parts. Between parts that the model was not trained on, the last one named
keeps them (test, so validation loses them). A patient of the training part who also stands in another is left out:
which of their records the model has met cannot be told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from mlflow_clinsec.datasets.qa_table import Blanks
from mlflow_clinsec.datasets.rows import SUFFIXES, identifier_of, read_rows, text_of
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.strict import setting

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstructLayout:
    """Names in the folder, and how much of it is read.

    Attributes:
        questions: kind of question -> its file, without suffix.
        cohort: file of a part, without suffix; ``{part}`` stands for its name.
        parts: names of the parts, first the one that the model was trained on.
        question, answer, admission, patient: columns.
        event_reference: put before each question, ``{admission}`` filled in, so that a model that reads event vectors
            can look them up; "" leaves the question as it is.
        patients: patients of each part at most, drawn by ``seed``; 0 takes all. Only their questions are kept.
        seed: of that draw.
        skip_empty: leave questions with an empty text or answer out instead of refusing them.

    Raises:
        ConfigError: fewer than two parts, or a name that lacks its placeholder.
    """

    questions: Mapping[str, str] = field(default_factory=lambda: {"event": "qa_event", "note": "qa_note"})
    cohort: str = "cohort_{part}"
    parts: tuple[str, ...] = ("train", "val", "test")
    question: str = "q"
    answer: str = "a"
    admission: str = "hadm_id"
    patient: str = "subject_id"
    event_reference: str = ""
    patients: int = setting(0, low=0)
    seed: int = setting(0, low=0)
    skip_empty: bool = False

    def __post_init__(self) -> None:
        if len(set(self.parts)) != len(self.parts) or len(self.parts) < 2:
            raise ConfigError("parts: expected two or more different names, the training part first.")
        if not self.questions:
            raise ConfigError("questions: expected at least one kind of question and its file.")
        if "{part}" not in self.cohort:
            raise ConfigError("cohort: the name must hold {part}.")
        if self.event_reference and "{admission}" not in self.event_reference:
            raise ConfigError("event_reference: the text must hold {admission}.")

    def load(self, path: str) -> pd.DataFrame:
        """Read the folder ``path``; see :func:`load_instruct`."""
        return load_instruct(path, self)


def load_instruct(folder: str, layout: InstructLayout | None = None) -> pd.DataFrame:
    """Read the questions of all parts, line by line.

    Args:
        folder: holds the files.
        layout: their names, and how much to read.

    Returns:
        One row per question: ``patient_id``, ``admission_id``, ``kind``, ``prompt``, ``response``, ``part`` and
        ``in_training``; the parts share no patient. For a split of one's own, deal the patients anew with
        :func:`~mlflow_clinsec.datasets.splits.split_patients`.

    Raises:
        DataError: a file or column is missing or malformed, an admission names two patients, or no question is left.
    """
    layout = layout or InstructLayout()
    root = Path(folder)
    if not root.is_dir():
        raise DataError("mimic-iv-ext-instr: expected a folder that holds the questions and cohorts.")
    files = {kind: find_file(root, stem) for kind, stem in layout.questions.items()}
    cohorts = {part: read_cohort(root, part, layout) for part in layout.parts}
    kept = sample_patients(disjoint_parts(cohorts, layout.parts), layout)
    place = {
        admission: (patient, part)
        for part in layout.parts
        for admission, patient in cohorts[part].items()
        if patient in kept[part]
    }
    rows = [row for kind, file in files.items() for row in _questions(file, kind, place, layout)]
    if not rows:
        raise DataError("mimic-iv-ext-instr: no question belongs to an admission of the cohorts.")
    frame = pd.DataFrame(rows, columns=["patient_id", "admission_id", "kind", "prompt", "response", "part"])
    return frame.assign(in_training=frame["part"] == layout.parts[0])


def find_file(root: Path, stem: str) -> Path:
    """The one file of that name, whatever its format.

    Raises:
        DataError: none, or several.
    """
    found = [root / f"{stem}{suffix}" for suffix in SUFFIXES if (root / f"{stem}{suffix}").is_file()]
    if len(found) != 1:
        what = "no file" if not found else f"{len(found)} files"
        raise DataError(f"mimic-iv-ext-instr: {what} named {stem!r} with one of {', '.join(SUFFIXES)}; one is needed.")
    return found[0]


def read_cohort(root: Path, part: str, layout: InstructLayout) -> dict[str, str]:
    """Admission -> patient of one part. An admission may come once for each of its intensive-care stays.

    Raises:
        DataError: the file is malformed, or an admission names two patients.
    """
    stem = layout.cohort.replace("{part}", part)
    found: dict[str, str] = {}
    for line, row in read_rows(find_file(root, stem), (layout.admission, layout.patient), stem):
        admission = identifier_of(row, layout.admission, stem, line)
        patient = identifier_of(row, layout.patient, stem, line)
        if found.setdefault(admission, patient) != patient:
            raise DataError(f"{stem}: line {line} gives an earlier line's {layout.admission!r} to another patient.")
    return found


def disjoint_parts(cohorts: Mapping[str, Mapping[str, str]], parts: Sequence[str]) -> dict[str, set[str]]:
    """Patients of each part after the repair that the module describes; each overlap is logged with its size."""
    patients = {part: set(cohorts[part].values()) for part in parts}
    for first, second in combinations(parts, 2):
        if shared := patients[first] & patients[second]:
            fate = "left out" if first == parts[0] else f"kept in {second!r} only"
            logger.warning("parts %r and %r share %d patients: they are %s", first, second, len(shared), fate)
    trained, *others = parts
    mixed = patients[trained] & set().union(*(patients[part] for part in others))
    kept, taken = {trained: patients[trained] - mixed}, set(mixed)
    for part in reversed(others):
        kept[part] = patients[part] - taken
        taken |= patients[part]
    return kept


def sample_patients(patients: Mapping[str, set[str]], layout: InstructLayout) -> dict[str, set[str]]:
    """At most ``layout.patients`` of each part; the draw does not depend on the order of the files."""
    if not layout.patients:
        return dict(patients)
    rng = np.random.default_rng(layout.seed)
    return {part: set(rng.permutation(sorted(patients[part]))[: layout.patients]) for part in layout.parts}


def _questions(
    path: Path, kind: str, place: Mapping[str, tuple[str, str]], layout: InstructLayout
) -> Iterator[tuple[str, ...]]:
    """Rows of one file that belong to a kept admission."""
    title = layout.questions[kind]
    blanks = Blanks(title, layout.skip_empty)
    for line, row in read_rows(path, (layout.question, layout.answer, layout.admission), title):
        admission = identifier_of(row, layout.admission, title, line)
        if admission not in place:
            continue
        question, answer = (text_of(row, name, title, line) for name in (layout.question, layout.answer))
        if blanks.blank(line, question=question, answer=answer):
            continue
        patient, part = place[admission]
        yield (
            patient,
            admission,
            kind,
            layout.event_reference.replace("{admission}", admission) + question,
            answer,
            part,
        )
    blanks.report()
