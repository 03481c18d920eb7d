"""The facts of one admission as text, ready for the slots of note and question templates."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from mlflow_clinsec.datasets.grammar import draw, expand, join_words, pick
from mlflow_clinsec.datasets.measurements import ALL, Measurement
from mlflow_clinsec.datasets.patients import Admission, Order, Patient, grade
from mlflow_clinsec.datasets.tables import airway_phrases, graded, trend_phrases, words

GRADE_NOISE = 0.7  # spread of each wording's own noise, in units of severity
SERVICES = ("Medicine", "Surgery", "Cardiology", "Neurology", "ICU", "Attending", "Night float", "Resident")

RETIREMENT_AGE = 58

Facts = dict[str, str]


def surrogate_date(moment: datetime) -> str:
    """A shifted date in the bracketed form of de-identified notes."""
    return f"[**{moment.year}-{moment.month}-{moment.day}**]"


def clock(admission: Admission, hours: float) -> str:
    """Date and time so many hours after admission, as in an event log."""
    return f"{admission.start + timedelta(hours=hours):%Y-%m-%d %H:%M}"


def order_text(order: Order) -> str:
    """Drug and dose."""
    return f"{order.name} {order.dose}"


def trend_word(kind: Measurement, first: float, last: float, rng: np.random.Generator) -> str:
    """Falling, flat or rising: flat below a quarter of the spread between admissions."""
    scale = kind.spread * (first if kind.log else 1.0)
    change = (last - first) / max(scale, 1e-9)
    return pick(rng, trend_phrases()[1 + (change > 0.25) - (change < -0.25)])


def patient_facts(patient: Patient, rng: np.random.Generator) -> Facts:
    """What stays the same in all of a patient's admissions."""
    he, his, him = ("he", "his", "him") if patient.male else ("she", "her", "her")
    facts = {"he": he, "He": he.capitalize(), "his": his, "him": him}
    facts |= {
        "sex": "man" if patient.male else "woman",
        "sex_letter": "M" if patient.male else "F",
        "title": "Mr." if patient.male else "Ms.",
        "surname": f"[**Known lastname {int(rng.integers(1000, 99999))}**]",
        "contact": f"[**Name (NI) {int(rng.integers(1000, 99999))}**]",
        "weight": str(patient.weight_kg),
    }
    return facts | _history(patient, facts, rng) | _social(patient, facts, rng)


def _history(patient: Patient, facts: Facts, rng: np.random.Generator) -> Facts:
    history = [expand(pick(rng, c.names), facts, rng) for c in patient.comorbidities]
    drugs = [expand(pick(rng, c.drugs), facts, rng) for c in patient.comorbidities]
    return {
        "pmh": join_words(history[:3]) or "no significant history",
        "pmh_all": ", ".join(history) or "no chronic illness",
        "home_drugs": ", ".join(dict.fromkeys(drugs)) or "no regular medication",
        "first_home_drug": drugs[0] if drugs else "no regular medication",
        "allergies": expand(pick(rng, words("allergies")), facts, rng),
    }


def _social(patient: Patient, facts: Facts, rng: np.random.Generator) -> Facts:
    occupation = pick(rng, words("occupations"))
    return {
        "occupation": occupation if patient.age >= RETIREMENT_AGE else occupation.removeprefix("retired "),
        "home": expand(pick(rng, words("homes")), facts, rng),
        "habits": ", ".join(expand(h, facts, rng) for h in draw(rng, words("habits"), 2)),
        "family": expand(pick(rng, words("family")), facts, rng),
    }


def _setting(patient: Patient, admission: Admission, facts: Facts, rng: np.random.Generator) -> Facts:
    """When, where and how the patient came."""
    years = (admission.start - patient.admissions[0].start).days // 365
    place = {"number": str(int(rng.integers(1000, 99999)))}
    place["home_place"] = expand(pick(rng, words("places")), place, rng)
    return place | {
        "age": str(patient.age + years),
        "admit_date": surrogate_date(admission.start),
        "note_date": surrogate_date(admission.start + timedelta(hours=24)),
        "unit": pick(rng, admission.condition.units),
        "service": pick(rng, SERVICES),
        "arrival": expand(pick(rng, words("arrivals")), facts | place, rng),
        "lines": ", ".join(expand(x, facts, rng) for x in draw(rng, words("lines"), 1 + int(rng.random() * 3))),
    }


def _presentation(admission: Admission, facts: Facts, rng: np.random.Generator) -> Facts:
    condition = admission.condition
    symptoms = [expand(s, facts, rng) for s in draw(rng, condition.symptoms, 3)]
    findings = [expand(f, facts, rng) for f in draw(rng, condition.findings, 2)]
    imaging = [expand(i, facts, rng) for i in draw(rng, condition.imaging, 2)]
    return {
        "diagnosis": expand(pick(rng, condition.names), facts, rng),
        "complaint": expand(pick(rng, condition.complaint), facts, rng),
        "symptom1": symptoms[0],
        "symptom2": symptoms[1],
        "symptoms": join_words(symptoms),
        "finding1": findings[0],
        "finding2": findings[1],
        "imaging1": imaging[0],
        "imaging2": imaging[1],
        "procedure": expand(pick(rng, condition.procedures), facts, rng),
        "consult": expand(pick(rng, condition.consults), facts, rng),
        "days": pick(rng, ("12 hours", "24 hours", "2 days", "3 days", "4 days", "5 days", "7 days", "10 days")),
    }


def _treatment(admission: Admission, facts: Facts, rng: np.random.Generator) -> Facts:
    pressors = [order_text(order) for order in admission.pressors]
    return {
        "drugs": join_words([order_text(order) for order in admission.drugs[:4]]),
        "drug1": order_text(admission.drugs[0]),
        "drug2": order_text(admission.drugs[1]),
        "drug_names": join_words([order.name for order in admission.drugs]),
        "airway": expand(pick(rng, airway_phrases()[admission.airway]), facts, rng),
        "pressors": join_words(pressors) or pick(rng, ("no pressors", "off pressors", "no vasoactive drugs")),
        "support": f"on {join_words(pressors)}" if pressors else pick(rng, ("off pressors", "without pressors")),
    }


def _measured(admission: Admission, rng: np.random.Generator) -> Facts:
    facts: Facts = {}
    for key, series in admission.series.items():
        kind = ALL[key]
        first, last = series[0][1], series[-1][1]
        facts[key] = kind.show(last)
        facts[f"{key}_first"] = kind.show(first)
        facts[f"{key}_trend"] = trend_word(kind, first, last, rng)
    return facts


def admission_facts(patient: Patient, position: int, known: Facts, rng: np.random.Generator) -> Facts:
    """Every slot value of the admission at ``position``, the outcome not among them.

    ``known`` are the facts of the patient, which hold for all admissions.
    """
    admission = patient.admissions[position]
    facts = known | _setting(patient, admission, known, rng)
    facts |= _presentation(admission, facts, rng)
    facts |= _treatment(admission, facts, rng)
    facts |= _measured(admission, rng)
    for scale, wordings in graded().items():
        level = grade(admission.severity, GRADE_NOISE, rng)
        facts[scale] = expand(pick(rng, wordings[level]), facts, rng)
    facts["previous"] = _previous(patient, position, rng)
    return facts


def _previous(patient: Patient, position: int, rng: np.random.Generator) -> str:
    if position == 0:
        return pick(rng, ("no prior ICU stays", "first ICU admission", "not known to this hospital"))
    before = patient.admissions[position - 1]
    reason = expand(pick(rng, before.condition.names), {}, rng)
    verb = pick(rng, ("admitted", "hospitalized", "in the ICU"))
    return f"last {verb} {surrogate_date(before.start)} for {reason}"
