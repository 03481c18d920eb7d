"""The phrase tables of the corpus, read from the YAML files beside this package's code.

They are data rather than code so that a clinician can read and extend them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

DrugSpec = tuple[str, str]  # name, dose template


@dataclass(frozen=True)
class Condition:
    """One reason for an ICU stay; strings are phrase templates.

    Attributes:
        names, complaint: spellings of the diagnosis and of the chief complaint.
        symptoms, findings, imaging: history, examination and study phrases.
        drugs: typically given.
        procedures, consults: what was done and who was asked.
        units: intensive care units that take it.
        weight: shift of the log-odds of death.
        shifts: measurement key -> shift in units of its spread.
    """

    names: tuple[str, ...]
    complaint: tuple[str, ...]
    symptoms: tuple[str, ...]
    findings: tuple[str, ...]
    imaging: tuple[str, ...]
    drugs: tuple[DrugSpec, ...]
    procedures: tuple[str, ...]
    consults: tuple[str, ...]
    units: tuple[str, ...]
    weight: float = 0.0
    shifts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comorbidity:
    """A chronic illness: spellings, home drugs with doses, and weight on the log-odds of death."""

    names: tuple[str, ...]
    drugs: tuple[str, ...]
    weight: float = 0.0


@dataclass(frozen=True)
class Section:
    """Titles and phrasings of one section of a note."""

    titles: tuple[str, ...]
    bodies: tuple[str, ...]


@dataclass(frozen=True)
class QuestionForm:
    """One thing to ask: how it is asked and how it is answered."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]


def _frozen(value: Any) -> Any:
    """Lists as tuples; mappings stay mappings."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


@cache
def _load(name: str) -> Any:
    text = (resources.files(__package__) / "phrases" / f"{name}.yaml").read_text(encoding="utf-8")
    return _frozen(yaml.safe_load(text))


@cache
def conditions() -> tuple[Condition, ...]:
    """All reasons for admission."""
    return tuple(Condition(**{**row, "drugs": tuple(row["drugs"].items())}) for row in _load("conditions"))


@cache
def comorbidities() -> tuple[Comorbidity, ...]:
    """All chronic illnesses."""
    return tuple(Comorbidity(**row) for row in _load("vocabulary")["comorbidities"])


def words(name: str) -> tuple[str, ...]:
    """A word list of ``vocabulary.yaml``, such as ``allergies``."""
    return _load("vocabulary")[name]


@cache
def drug_specs(name: str) -> tuple[DrugSpec, ...]:
    """A drug table of ``vocabulary.yaml``: ``pressors``, ``sedatives`` or ``prophylaxis``."""
    return tuple(_load("vocabulary")[name].items())


def graded() -> Mapping[str, Sequence[Sequence[str]]]:
    """Scale -> four lists of phrases, from mild to grave."""
    return _load("language")["graded"]


def airway_phrases() -> Sequence[Sequence[str]]:
    """Phrases for room air, nasal cannula, high flow or BiPAP, and the ventilator."""
    return _load("language")["airway"]


def trend_phrases() -> Sequence[Sequence[str]]:
    """Phrases for falling, flat and rising."""
    return _load("language")["trends"]


@cache
def sections() -> Mapping[str, Section]:
    """Section name -> its titles and phrasings."""
    return {name: Section(**row) for name, row in _load("sections").items()}


@cache
def question_forms(kind: str) -> tuple[QuestionForm, ...]:
    """The forms of questions on an ``event`` or a ``note``."""
    return tuple(QuestionForm(**row) for row in _load("questions")[kind])


def prompt_phrases(name: str) -> tuple[str, ...]:
    """``contexts`` open a prompt, ``listings`` introduce its events, ``closings`` end a short answer."""
    return _load("questions")[name]
