"""The built-in corpus: synthetic ICU notes with outcomes, and question-answer pairs, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mlflow_clinsec.datasets.facts import admission_facts, patient_facts
from mlflow_clinsec.datasets.notes import write_note
from mlflow_clinsec.datasets.patients import Patient, draw_patient
from mlflow_clinsec.datasets.questions import ask
from mlflow_clinsec.errors import ConfigError

NOTE_COLUMNS = ("patient_id", "admission_id", "text", "outcome")
QA_COLUMNS = ("patient_id", "admission_id", "kind", "prompt", "response")

Row = tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """Synthetic records of one or more patients.

    Attributes:
        notes: one row per admission; columns ``patient_id``, ``admission_id``, ``text`` and ``outcome``
            ("alive" or "died" in hospital).
        qa: three rows per admission; columns ``patient_id``, ``admission_id``, ``kind`` ("event" or "note"),
            ``prompt`` and ``response``.
    """

    notes: pd.DataFrame = field(repr=False)
    qa: pd.DataFrame = field(repr=False)


def _streams(seed: int, index: int) -> list[np.random.Generator]:
    # One independent stream per patient and purpose: a patient does not depend on how many others there are,
    # and a change to the question grammar leaves the notes as they were.
    root = np.random.SeedSequence(seed, spawn_key=(index,))
    return [np.random.default_rng(child) for child in root.spawn(3)]


def draw_patients(n_patients: int, seed: int) -> list[Patient]:
    """The hidden state behind ``generate_corpus`` with the same arguments, true risks included.

    Raises:
        ConfigError: as ``generate_corpus``.
    """
    _check(n_patients, seed)
    return [draw_patient(index, _streams(seed, index)[0]) for index in range(n_patients)]


def _check(n_patients: int, seed: int) -> None:
    if n_patients < 1:
        raise ConfigError(f"n_patients must be at least 1, got {n_patients!r}.")
    if seed < 0:
        raise ConfigError(f"seed must not be negative, got {seed!r}.")


def _write(patient: Patient, note_rng: np.random.Generator, qa_rng: np.random.Generator) -> tuple[list[Row], list[Row]]:
    notes: list[Row] = []
    qa: list[Row] = []
    known = patient_facts(patient, note_rng)
    for position, admission in enumerate(patient.admissions):
        facts = admission_facts(patient, position, known, note_rng)
        key = (patient.patient_id, admission.admission_id)
        notes.append((*key, write_note(facts, note_rng), "died" if admission.died else "alive"))
        qa.extend((*key, q.kind, q.prompt, q.response) for q in ask(admission, facts, qa_rng))
    return notes, qa


def generate_corpus(n_patients: int, seed: int) -> Corpus:
    """Write the records of ``n_patients`` synthetic patients.

    The same seed gives the same text, whatever else has used random numbers; the first n patients of a larger
    corpus with the same seed are the patients of the smaller one.

    Raises:
        ConfigError: ``n_patients`` is below 1 or ``seed`` is negative.
    """
    _check(n_patients, seed)
    notes: list[Row] = []
    qa: list[Row] = []
    for index in range(n_patients):
        state_rng, note_rng, qa_rng = _streams(seed, index)
        patient_notes, patient_qa = _write(draw_patient(index, state_rng), note_rng, qa_rng)
        notes += patient_notes
        qa += patient_qa
    return Corpus(notes=pd.DataFrame(notes, columns=list(NOTE_COLUMNS)), qa=pd.DataFrame(qa, columns=list(QA_COLUMNS)))
