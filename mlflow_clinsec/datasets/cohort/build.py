"""From a folder of files to a cohort: one row per stay, or per note, with its label and its part."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from mlflow_clinsec.datasets.cohort.eicu import EICU
from mlflow_clinsec.datasets.cohort.flow import Flow
from mlflow_clinsec.datasets.cohort.mimic_iii import MimicIII
from mlflow_clinsec.datasets.cohort.options import Charted, CohortOptions, Stay
from mlflow_clinsec.datasets.cohort.rules import STAY, Notes, select_notes, select_stays
from mlflow_clinsec.datasets.splits import split_patients
from mlflow_clinsec.datasets.stay_text import join_notes
from mlflow_clinsec.errors import ConfigError, DataError, did_you_mean

logger = logging.getLogger(__name__)

LABELS = {False: "alive", True: "died"}


class Database(Protocol):
    """Files of a clinical database, opened."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why :meth:`notes` drops notes, in the order in which it asks."""
        ...

    def stays(self, flow: Flow) -> list[Stay]:
        """All ICU stays."""
        ...

    def notes(self, stays: Sequence[Stay]) -> Iterator[Charted]:
        """All notes, one by one, with the reason to drop those that cannot be of ``stays``."""
        ...


SOURCES: Mapping[str, Callable[[Path], Database]] = {"mimic-iii": MimicIII, "eicu": EICU}


@dataclass(frozen=True)
class Cohort:
    """A cohort, and who was left out of it.

    Attributes:
        frame: per stay ``patient_id``, ``stay_id``, ``notes`` (how many), ``text``, ``label`` ("alive" or "died") and
            ``part``; or per note, with ``hours`` since ICU admission in place of ``notes``. Patient data.
        flow: ``unit``, ``step``, ``dropped`` and ``left``; free of text and ids.
    """

    frame: pd.DataFrame = field(repr=False)
    flow: pd.DataFrame


def build_cohort(source: str, folder: str, options: CohortOptions | None = None) -> Cohort:
    """Read the files of a database and apply the cohort's rules.

    Memory holds the stays and the notes of the window; other notes pass by one at a time.

    Args:
        source: a key of ``SOURCES``.
        folder: holds the files.

    Raises:
        ConfigError: an unknown source.
        DataError: a file is missing or malformed (told by file, line and column), or nobody is left in the cohort.
    """
    options = options or CohortOptions()
    if source not in SOURCES:
        raise ConfigError(f"source: {source!r} is unknown.{did_you_mean(source, SOURCES)}")
    if not Path(folder).is_dir():
        raise DataError("path: expected a folder that holds the tables.")
    database, flow = SOURCES[source](Path(folder)), Flow()
    stays = select_stays(database.stays(flow), options, flow)
    notes = select_notes(database.notes(stays), database.reasons, options, flow)
    kept = flow.keep(STAY, "without a note in the window", stays, lambda stay: stay.stay in notes)
    _refuse_too_few(kept, flow)
    frame = _with_parts(pd.DataFrame(_rows(kept, notes, options)), options)
    logger.info("%s: %d stays, %d rows", source, len(kept), len(frame))
    return Cohort(frame, flow.table())


def _refuse_too_few(stays: Sequence[Stay], flow: Flow) -> None:
    if not stays:
        last = max((row for row in flow.rows if row[0] == STAY), key=lambda row: row[2])
        raise DataError(f"cohort: no stay is left; the step that dropped most ({last[2]}): {last[1]}.")


def _rows(stays: Sequence[Stay], notes: Notes, options: CohortOptions) -> Iterator[dict[str, Any]]:
    for stay in sorted(stays, key=lambda stay: (len(stay.patient), stay.patient)):
        ids = {"patient_id": stay.patient, "stay_id": stay.stay}
        label = LABELS[bool(stay.died)]
        if options.rows == "note":
            for hours, text in notes[stay.stay]:
                yield {**ids, "hours": round(hours, 3), "text": text, "label": label}
        else:
            texts = [text for _, text in notes[stay.stay]]
            yield {**ids, "notes": len(texts), "text": join_notes(texts), "label": label}


def _with_parts(frame: pd.DataFrame, options: CohortOptions) -> pd.DataFrame:
    """The frame with the part that each patient was dealt to."""
    part = pd.Series("", index=frame.index, dtype=object)
    for name, rows in split_patients(frame, options.shares, options.seed).items():
        part[rows.index] = name
    return frame.assign(part=part)
