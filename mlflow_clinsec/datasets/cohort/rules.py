"""Which stays and notes make the cohort: the rules that both databases share.

They follow the in-hospital-mortality task of Harutyunyan et al. 2019 (arXiv 1703.07771) as its public code has it;
``docs/cohorts.md`` sets both side by side, with the departures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from mlflow_clinsec.datasets.cohort.brackets import handle_brackets
from mlflow_clinsec.datasets.cohort.flow import Flow
from mlflow_clinsec.datasets.cohort.options import Charted, CohortOptions, Stay

STAY, NOTE = "stay", "note"
TOLERANCE = 1e-6
"""Hours. As in the benchmark's code: a stay of 48 hours is one of 48 hours whatever its fractions were rounded to."""

BEFORE, AFTER, EMPTY = "charted before ICU admission", "charted after the window", "without text"
_SAYS_NOTHING = re.compile(r"|[#<-]?(n/?a|nan|null|none)>?|#n/a n/a|-?1\.#(ind|qnan)", re.IGNORECASE)
"""Whole notes that say nothing, and that pandas takes for a missing value when it reads them from CSV."""

Notes = dict[str, list[tuple[float, str]]]
"""Stay -> hours since ICU admission and text of its notes, in time order."""


def select_stays(stays: Sequence[Stay], options: CohortOptions, flow: Flow) -> list[Stay]:
    """First ICU stays of adults who were in the ICU, alive, for all of the window.

    A stay counts as the patient's first among all that the files have, not among those that other rules would keep.
    """
    window = f"{options.hours:g} h"
    first = _first_stays(stays)
    kept = flow.keep(STAY, "not the patient's first ICU stay", stays, lambda stay: first[stay.patient] is stay)
    kept = flow.keep(STAY, "age unknown", kept, lambda stay: stay.age is not None)
    young = f"younger than {options.least_age} years"
    kept = flow.keep(STAY, young, kept, lambda stay: (stay.age or 0) >= options.least_age)
    kept = flow.keep(STAY, "outcome unknown", kept, lambda stay: stay.died is not None)
    kept = flow.keep(STAY, "length of ICU stay unknown", kept, lambda stay: stay.length is not None)
    kept = flow.keep(STAY, f"ICU stay shorter than {window}", kept, lambda stay: _reaches(stay.length, options))
    gone = f"died or left the hospital within {window}, ICU stay recorded as longer"
    return flow.keep(STAY, gone, kept, lambda stay: stay.left is None or _reaches(stay.left, options))


def _first_stays(stays: Sequence[Stay]) -> dict[str, Stay]:
    first: dict[str, Stay] = {}
    for stay in stays:
        if stay.patient not in first or stay.order < first[stay.patient].order:
            first[stay.patient] = stay
    return first


def _reaches(hours: float | None, options: CohortOptions) -> bool:
    return hours is not None and hours >= options.hours - TOLERANCE


def select_notes(charted: Iterable[Charted], reasons: Sequence[str], options: CohortOptions, flow: Flow) -> Notes:
    """Notes of the window by stay; only these are ever held in memory.

    Args:
        charted: all notes, one by one.
        reasons: for which the reader itself drops notes, in the order in which it asks.
    """
    counts: Counter[str] = Counter()
    found: dict[str, list[tuple[float, str, str]]] = {}
    for note in charted:
        text = "" if note.dropped else _tidy(note.text, options)
        reason = note.dropped or _outside(note.hours, options) or (EMPTY if _SAYS_NOTHING.fullmatch(text) else "")
        counts[reason] += 1
        if not reason:
            found.setdefault(note.stay, []).append((note.hours, note.heading, text))
    flow.drop_all(NOTE, "notes or charted entries", [*reasons, BEFORE, AFTER, EMPTY], counts)
    return {stay: in_order(notes) for stay, notes in found.items()}


def in_order(entries: Sequence[tuple[float, str, str]]) -> list[tuple[float, str]]:
    """Notes by time; entries of one time and heading become one note under that heading.

    Args:
        entries: hours, heading and text; those of one time keep their order.
    """
    notes: list[tuple[float, str]] = []
    last: tuple[float, str] | None = None
    for hours, heading, text in sorted(entries, key=lambda entry: entry[0]):
        if heading and (hours, heading) == last:
            notes[-1] = (hours, f"{notes[-1][1]}\n{text}")
        else:
            notes.append((hours, f"{heading}\n{text}" if heading else text))
        last = (hours, heading)
    return notes


def _outside(hours: float, options: CohortOptions) -> str:
    if hours < -TOLERANCE:
        return BEFORE
    return AFTER if hours > options.hours + TOLERANCE else ""


def _tidy(text: str, options: CohortOptions) -> str:
    return handle_brackets(text.replace("\r\n", "\n"), options.brackets).strip()
