"""Synthetic patients: the hidden state that notes, questions and outcomes are all written from.

An admission has a latent severity, standard normal over admissions before the outcome is drawn. Measurements,
support and the words of the chart depend on it with noise; the outcome depends on it through a logistic risk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from mlflow_clinsec.datasets.grammar import draw, expand, pick
from mlflow_clinsec.datasets.measurements import ALL, VITALS
from mlflow_clinsec.datasets.tables import Comorbidity, Condition, DrugSpec, comorbidities, conditions, drug_specs

# Log-odds of death = INTERCEPT + SEVERITY_WEIGHT * severity + AGE_WEIGHT * (age - 65) / 15 + weights of the
# condition and of the comorbidities. Chosen so that 12-20% of admissions end in death and the true risk itself
# reaches an AUROC of about 0.9; see docs/synthetic-corpus.md for the measured figures.
INTERCEPT = -3.1
SEVERITY_WEIGHT = 2.4
AGE_WEIGHT = 0.35

FRAILTY_SHARE = 0.5  # correlation of severity between two admissions of one patient is its square
GRADE_CUTS = (-0.52, 0.39, 1.13)
VENTILATED = 3  # the highest grade of respiratory support
ADMISSION_COUNTS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4)

Series = dict[str, tuple[tuple[float, float], ...]]  # measurement key -> (hours after admission, value), ascending


@dataclass(frozen=True)
class Order:
    """A drug given from ``hours`` after admission on."""

    name: str
    dose: str
    hours: float


@dataclass(frozen=True)
class Admission:
    """One ICU stay.

    Attributes:
        severity: latent, larger is sicker.
        drift: latent change of severity over the first day; positive is worsening.
        risk: true probability of death in this stay.
        series: what was measured over the first day.
        airway: grade of respiratory support; 0 room air, 1 nasal cannula, 2 high flow or BiPAP, 3 ventilator.
    """

    admission_id: str
    start: datetime
    condition: Condition
    severity: float
    drift: float
    risk: float
    died: bool
    airway: int
    series: Series
    drugs: tuple[Order, ...]
    pressors: tuple[Order, ...]


@dataclass(frozen=True)
class Patient:
    """One person with one to four admissions, the last of which may end in death; ``age`` is at the first."""

    patient_id: str
    age: int
    male: bool
    weight_kg: int
    comorbidities: tuple[Comorbidity, ...]
    admissions: tuple[Admission, ...]


def _orders(specs: tuple[DrugSpec, ...], count: int, latest: float, rng: np.random.Generator) -> tuple[Order, ...]:
    chosen = draw(rng, specs, count)
    return tuple(
        Order(name, expand(dose, {}, rng), round(0.5 + latest * float(rng.random()), 1)) for name, dose in chosen
    )


def _drugs(condition: Condition, airway: int, rng: np.random.Generator) -> tuple[Order, ...]:
    """For the condition, for prophylaxis and, on the ventilator, for sedation; each drug once."""
    orders = _orders(condition.drugs, 2 + int(rng.random() * 3), 6.0, rng)
    orders += _orders(drug_specs("prophylaxis"), 1 + int(rng.random() * 2), 12.0, rng)
    if airway == VENTILATED:
        orders += _orders(drug_specs("sedatives"), 1 + int(rng.random() * 2), 8.0, rng)
    return tuple({order.name: order for order in orders}.values())


def grade(severity: float, noise: float, rng: np.random.Generator) -> int:
    """A noisy reading of severity on the scale 0 (mild) to 3 (grave); about 30/35/22/13% of admissions."""
    reading = (severity + noise * float(rng.standard_normal())) / math.sqrt(1 + noise**2)
    return sum(reading > cut for cut in GRADE_CUTS)


def _series(severity: float, drift: float, condition: Condition, rng: np.random.Generator) -> Series:
    """Four charting times over the first day; labs are drawn at three of them."""
    times = np.round(np.array([0.5, 6.0, 13.0, 23.0]) + rng.uniform(-0.4, 2.5, size=4), 1)
    path = severity - drift * (1 - times / 24)
    own = rng.standard_normal(len(ALL))
    jitter = 0.35 * rng.standard_normal((len(ALL), len(times)))
    skipped = 1 + int(rng.random() * 3)
    series = {}
    for row, (key, kind) in enumerate(ALL.items()):
        shift = condition.shifts.get(key, 0.0) + own[row]
        points = [
            (float(t), kind.value(float(path[i]), float(shift + jitter[row, i])))
            for i, t in enumerate(times)
            if key in VITALS or i != skipped
        ]
        series[key] = tuple(points)
    return _consistent_pressures(series)


def _consistent_pressures(series: Series) -> Series:
    """Keep diastolic well below systolic pressure, and mean pressure at a third of the way up."""
    systolic = series["sbp"]
    diastolic = tuple((t, min(low, high - 15)) for (t, low), (_, high) in zip(series["dbp"], systolic, strict=True))
    mean = tuple((t, round((high + 2 * low) / 3)) for (t, low), (_, high) in zip(diastolic, systolic, strict=True))
    return {**series, "dbp": diastolic, "map": mean}


def _admission(
    patient_id: str,
    number: int,
    start: datetime,
    frailty: float,
    burden: float,
    rng: np.random.Generator,
) -> Admission:
    condition = pick(rng, conditions())
    acute = float(rng.standard_normal())
    severity = FRAILTY_SHARE * frailty + math.sqrt(1 - FRAILTY_SHARE**2) * acute
    drift = 0.35 * severity + 0.5 * float(rng.standard_normal())
    log_odds = INTERCEPT + SEVERITY_WEIGHT * severity + burden + condition.weight
    risk = 1 / (1 + math.exp(-log_odds))
    airway = grade(severity, 1.0, rng)
    pressor_grade = grade(severity, 1.0, rng)
    return Admission(
        admission_id=f"{patient_id}-{number}",
        start=start,
        condition=condition,
        severity=severity,
        drift=drift,
        risk=risk,
        died=bool(rng.random() < risk),
        airway=airway,
        series=_series(severity, drift, condition, rng),
        drugs=_drugs(condition, airway, rng),
        pressors=_orders(drug_specs("pressors"), max(0, pressor_grade - 1), 10.0, rng),
    )


def draw_patient(index: int, rng: np.random.Generator) -> Patient:
    """The patient with this index. Admissions end with a death."""
    patient_id = f"p{index:06d}"
    age = int(np.clip(rng.normal(64, 15), 19, 97))
    chronic = draw(rng, comorbidities(), int(rng.random() * (3 + age / 30)))
    burden = AGE_WEIGHT * (age - 65) / 15 + sum(c.weight for c in chronic)
    frailty = float(rng.standard_normal())
    start = datetime(2100, 1, 1) + timedelta(minutes=int(rng.random() * 90 * 365 * 1440))
    planned = pick(rng, ADMISSION_COUNTS)
    admissions: list[Admission] = []
    while len(admissions) < planned and not (admissions and admissions[-1].died):
        admissions.append(_admission(patient_id, len(admissions) + 1, start, frailty, burden, rng))
        start += timedelta(minutes=int((12 + rng.exponential(240)) * 1440))
    male = bool(rng.random() < 0.55)
    weight_kg = round(float(np.clip(rng.normal(84 if male else 72, 16), 41, 168)))
    return Patient(patient_id, age, male, weight_kg, chronic, tuple(admissions))
