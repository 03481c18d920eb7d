"""Vital signs and laboratory values: how they are named, and how they move with severity."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One measured quantity.

    Attributes:
        names: spellings found in charts; the first is the full one.
        unit: unit as charted, "" for none.
        digits: decimals charted.
        centre: typical value at average severity.
        slope: change per unit of latent severity; in log units when ``log``.
        spread: standard deviation between admissions at equal severity; in log units when ``log``.
        normal: reference range, inclusive.
        bounds: values outside are clipped.
        log: whether the quantity is log-normal.
    """

    names: tuple[str, ...]
    unit: str
    digits: int
    centre: float
    slope: float
    spread: float
    normal: tuple[float, float]
    bounds: tuple[float, float]
    log: bool = False

    def value(self, severity: float, deviation: float) -> float:
        """The charted value, ``deviation`` being in units of ``spread``."""
        shift = self.slope * severity + self.spread * deviation
        raw = self.centre * math.exp(shift) if self.log else self.centre + shift
        low, high = self.bounds
        return round(min(max(raw, low), high), self.digits)

    def show(self, value: float) -> str:
        """The number as charted, without its unit."""
        return f"{value:.{self.digits}f}"

    def show_unit(self, value: float) -> str:
        """The number and its unit."""
        gap = "" if self.unit in {"%", ""} else " "
        return f"{self.show(value)}{gap}{self.unit}"

    def flag(self, value: float) -> str:
        """Against the reference range: "low", "normal" or "high"."""
        low, high = self.normal
        return "low" if value < low else "high" if value > high else "normal"


_M = Measurement

VITALS: dict[str, Measurement] = {
    "hr": _M(("heart rate", "HR", "pulse"), "bpm", 0, 92, 8.0, 13.0, (60, 100), (38, 175)),
    "sbp": _M(("systolic pressure", "SBP", "systolic BP"), "mmHg", 0, 118, -8.0, 15.0, (90, 140), (58, 215)),
    "dbp": _M(("diastolic pressure", "DBP", "diastolic BP"), "mmHg", 0, 62, -4.0, 9.0, (50, 90), (28, 120)),
    "map": _M(("mean arterial pressure", "MAP", "mean pressure"), "mmHg", 0, 81, -5.3, 7.8, (65, 100), (40, 130)),
    "rr": _M(("respiratory rate", "RR", "resp rate"), "/min", 0, 20, 2.2, 4.5, (12, 20), (8, 46)),
    "spo2": _M(("oxygen saturation", "SpO2", "O2 sat"), "%", 0, 96, -1.1, 2.0, (94, 100), (76, 100)),
    "temp": _M(("temperature", "T", "temp"), "C", 1, 37.2, 0.08, 0.7, (36.0, 38.0), (33.5, 40.6)),
}

LABS: dict[str, Measurement] = {
    "lactate": _M(("lactate", "lactic acid", "lact"), "mmol/L", 1, 1.9, 0.33, 0.38, (0.5, 2.0), (0.5, 17.5), True),
    "creatinine": _M(("creatinine", "Cr", "creat"), "mg/dL", 1, 1.2, 0.24, 0.42, (0.5, 1.2), (0.3, 9.9), True),
    "bun": _M(("BUN", "urea nitrogen", "urea N"), "mg/dL", 0, 24, 0.22, 0.42, (7, 20), (4, 150), True),
    "wbc": _M(("white count", "WBC", "leukocytes"), "K/uL", 1, 10.8, 0.12, 0.38, (4.0, 11.0), (0.2, 58.0), True),
    "hgb": _M(("hemoglobin", "Hgb", "Hb"), "g/dL", 1, 10.9, -0.35, 1.7, (12.0, 16.0), (4.9, 17.2)),
    "platelets": _M(("platelets", "Plt", "platelet count"), "K/uL", 0, 198, -0.2, 0.42, (150, 400), (8, 720), True),
    "sodium": _M(("sodium", "Na", "serum sodium"), "mEq/L", 0, 138, 0.1, 4.2, (135, 145), (118, 163)),
    "potassium": _M(("potassium", "K", "serum potassium"), "mEq/L", 1, 4.2, 0.12, 0.5, (3.5, 5.0), (2.4, 7.4)),
    "bicarbonate": _M(("bicarbonate", "HCO3", "bicarb"), "mEq/L", 0, 23.5, -1.3, 3.2, (22, 28), (6, 41)),
    "ph": _M(("arterial pH", "pH", "ABG pH"), "", 2, 7.37, -0.03, 0.05, (7.35, 7.45), (6.88, 7.60)),
    "pco2": _M(("pCO2", "PaCO2", "CO2 tension"), "mmHg", 0, 41, 0.8, 8.0, (35, 45), (18, 98)),
    "glucose": _M(("glucose", "blood sugar", "serum glucose"), "mg/dL", 0, 138, 0.05, 0.28, (70, 180), (38, 890), True),
    "bilirubin": _M(
        ("total bilirubin", "Tbili", "bilirubin"), "mg/dL", 1, 0.8, 0.16, 0.6, (0.2, 1.2), (0.1, 34.0), True
    ),
    "inr": _M(("INR", "PT-INR", "serum INR"), "", 1, 1.3, 0.08, 0.22, (0.9, 1.3), (0.9, 8.8), True),
    "albumin": _M(("albumin", "Alb", "serum albumin"), "g/dL", 1, 3.2, -0.18, 0.45, (3.5, 5.0), (1.2, 5.0)),
    "troponin": _M(("troponin T", "TnT", "troponin"), "ng/mL", 2, 0.05, 0.2, 0.9, (0.0, 0.04), (0.01, 14.0), True),
}

ALL: dict[str, Measurement] = {**VITALS, **LABS}
