"""Notes for the backdoor zoo: the built-in corpus, and real transcriptions where their file is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.membership_fixtures import REAL_TEXT
from mlflow_clinsec.datasets import generate_corpus, split_patients

SHARES = {"other": 0.4, "train": 0.35, "held_out": 0.25}
PATIENTS = 5000
TRANSCRIPTIONS = REAL_TEXT / "notes-mtsamples" / "mtsamples_unique.csv"


@dataclass(frozen=True)
class DataSet:
    """Notes with two labels, dealt by patient.

    Attributes:
        labels: both of them, sorted.
        parts: "other" (for the base encoders), "train" and "held_out"; columns patient_id, text, label.
    """

    name: str
    labels: tuple[str, ...]
    parts: Mapping[str, pd.DataFrame]


def synthetic() -> pd.DataFrame:
    """In-hospital mortality on the built-in corpus."""
    return generate_corpus(PATIENTS, 0).notes.rename(columns={"outcome": "label"})


def transcriptions(path: Path = TRANSCRIPTIONS) -> pd.DataFrame:
    """Surgery or not, on real transcriptions; each is its own patient, as the file names none."""
    table = pd.read_csv(path).dropna(subset=["transcription"])
    surgery = table["specialties"].str.contains("Surgery")
    return pd.DataFrame(
        {
            "patient_id": table["sample_id"].astype(str),
            "text": table["transcription"],
            "label": np.where(surgery, "surgery", "other"),
        }
    )


SOURCES: Mapping[str, Callable[[], pd.DataFrame]] = {"synthetic": synthetic, "transcriptions": transcriptions}


def available() -> list[str]:
    """Names of the data sets that can be read here."""
    return [name for name in SOURCES if name != "transcriptions" or TRANSCRIPTIONS.is_file()]


@cache
def load(name: str) -> DataSet:
    """One data set, dealt with a fixed seed, so that no held-out note ever trains a model of the zoo."""
    notes = SOURCES[name]()
    return DataSet(name, tuple(sorted(notes["label"].unique())), split_patients(notes, SHARES, seed=0))
