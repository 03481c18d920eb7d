"""Settings of a cohort, and the records that both databases are brought to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlflow_clinsec.datasets.cohort.brackets import Brackets
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.strict import setting

Rows = Literal["stay", "note"]

LONGEST_WINDOW = 24 * 365


@dataclass(frozen=True)
class CohortOptions:
    """What makes the cohort.

    Attributes:
        hours: length of the window from ICU admission on; notes charted in it are kept, both ends included.
        least_age: youngest age at admission, in whole years.
        brackets: "remove" MIMIC-III's de-identification brackets, "replace" each by a neutral word of its kind, or
            "keep" them.
        rows: one row per stay, its notes joined, or one per note.
        shares: part -> share of the patients; written to the column ``part``.
        seed: of the draw of the parts.

    Raises:
        ConfigError: a share is not positive, or they do not sum to 1.
    """

    hours: float = setting(48.0, low=1, high=LONGEST_WINDOW)
    least_age: int = setting(18, low=0, high=89)
    brackets: Brackets = "remove"
    rows: Rows = "stay"
    shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.7, "validation": 0.15, "test": 0.15})
    seed: int = setting(0, low=0)

    def __post_init__(self) -> None:
        if not all(share > 0 for share in self.shares.values()) or abs(math.fsum(self.shares.values()) - 1) > 1e-9:
            raise ConfigError("shares: expected positive shares of the patients that sum to 1.")


@dataclass(frozen=True)
class Stay:
    """One ICU stay; times are hours since ICU admission.

    Attributes:
        patient, admission, stay: ids.
        order: sorts the stays of a patient by time.
        age: whole years at hospital admission, 90 for all above 89; None where unknown.
        length: of the ICU stay; None where unknown.
        left: when the patient died in or left the hospital; None where unknown.
        died: in the hospital; None where unknown.
    """

    patient: str = field(repr=False)
    admission: str = field(repr=False)
    stay: str = field(repr=False)
    order: tuple[float, ...] = field(repr=False)
    age: int | None = field(repr=False)
    length: float | None = field(repr=False)
    left: float | None = field(repr=False)
    died: bool | None = field(repr=False)


@dataclass(frozen=True)
class Charted:
    """One note as it was read.

    Attributes:
        dropped: why it is no candidate; "" for one that the window decides on.
        stay: id of its stay.
        hours: when it was charted, since ICU admission.
        text: as written.
        heading: "" for a note of its own; entries of one stay, time and heading make one note together.
    """

    dropped: str
    stay: str = field(default="", repr=False)
    hours: float = field(default=math.nan, repr=False)
    text: str = field(default="", repr=False)
    heading: str = ""


OLDEST = 90
"""Age of everybody above 89, whose true age neither database tells."""
