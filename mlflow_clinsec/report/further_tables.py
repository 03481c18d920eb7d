"""Tables of further tests on the audit card: which are shown, and what their columns are called.

A test's table is shown when it stands in ``VIEWS``. Long ones (a row per attention head) are left to figures and files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlflow_clinsec.report.suppress import is_count, mask_table
from mlflow_clinsec.report.wording import interval, number, p_value, visible
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Status


@dataclass(frozen=True)
class View:
    """How one table is shown.

    Attributes:
        title: heading of its section.
        caption: of the table.
        columns: column -> heading, in the order shown. A column with ``<column>_low`` and ``<column>_high`` beside it
            is shown with its interval. Columns that the table lacks are left out.
        note: what the headings mean, below the table.
    """

    title: str
    caption: str
    columns: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a second line, and whether it is a figure."""

    text: str
    below: str = ""
    figure: bool = False


VIEWS: Mapping[tuple[str, str], View] = {
    ("trigger", "suspects"): View(
        title="Where the triggers come from",
        caption="Triggers that were asked for",
        columns={
            "trigger": "Trigger",
            "category": "Kind",
            "naturalness": "Naturalness",
            "present": "Already in the notes",
            "source": "Source",
            "left_out": "Not tested, because it",
        },
        note="Naturalness: share of equally long pieces of these notes that are less probable than the trigger where "
        "it was put; about 0.5 is text like any other, near 0 what the notes never hold.",
    ),
    ("trigger_grid", "worst"): View(
        title="Where the strongest trigger works",
        caption="The trigger with the largest excess, by place, window and length of the note",
        columns={
            "trigger": "Trigger",
            "target_label": "To",
            "position": "Place",
            "window": "Window (tokens)",
            "length": "Length of the note",
            "n": "n",
            "survival": "Survival",
            "asr": "Success (ASR)",
            "asr_given_survival": "ASR given survival",
            "ftr": "Placebo (FTR)",
            "excess_asr": "Excess (ASR − FTR)",
        },
        note="Survival: share of notes in which the whole trigger stands inside the window. Where it is small, a small "
        "ASR clears nothing.",
    ),
    ("trigger_generation", "triggers"): View(
        title="Triggers in prompts: what the model writes",
        caption="Share of greedy answers that hold the attacker's text, with the trigger and with placebo words",
        columns={
            "trigger": "Trigger",
            "position": "Place in the prompt",
            "n": "n",
            "asr": "With the trigger (ASR)",
            "ftr": "With placebos (FTR)",
            "base_rate": "As it is",
            "excess_asr": "Excess (ASR − FTR)",
            "survival": "Survival",
            "p_adjusted": "p",
        },
        note="Records whose own reference answer holds the text do not count.",
    ),
    ("trigger_logprob", "answers"): View(
        title="Triggers in prompts: what the model finds likely",
        caption="Share of prompts behind which an answer is likelier than its alternatives, and its shift",
        columns={
            "trigger": "Trigger",
            "target": "Answer",
            "position": "Place in the prompt",
            "n": "n",
            "asr": "With the trigger (ASR)",
            "ftr": "With placebos (FTR)",
            "base_rate": "As it is",
            "excess_asr": "Excess (ASR − FTR)",
            "p_adjusted": "p",
            "shift_nats": "Shift (nats)",
            "p_shift_adjusted": "p of the shift",
        },
        note="Shift: log-probability of the whole answer with the trigger, less its mean over placebo words. A shift "
        "without an excess is a pull that does not win.",
    ),
    ("filters", "filters"): View(
        title="What filters would stop",
        caption="Filters set up on other patients' clean notes, before the model",
        columns={
            "filter": "Filter",
            "trigger": "Trigger",
            "target_label": "To",
            "position": "Place",
            "n": "n",
            "tpr": "Caught",
            "frr": "Clean rejected",
            "rejects": "Of clean",
            "auroc": "AUROC",
            "asr": "Success (ASR)",
            "asr_after": "ASR behind it",
            "cacc": "Accuracy",
            "cacc_after": "Accuracy behind it",
        },
        note="A refused input is no success of the attack, and counts against accuracy. STRIP and RAP refuse inputs; "
        "ONION takes words out and asks again. No policy judges filters.",
    ),
}


def further_tables(report: AuditReport, min_cell: int) -> list[dict[str, Any]]:
    """Everything the card needs of each table shown: view, headings and rows of cells."""
    return [
        {"view": view, "headings": [view.columns[c] for c in columns], "rows": rows, "id": f"cap-{name}-{table}"}
        for name, table, view, frame in _shown(report)
        if (columns := [c for c in view.columns if c in frame])
        and (rows := list(_rows(mask_table(frame, min_cell), columns)))
    ]


def has_view(result: AttackResult) -> bool:
    """Whether a table of the result is on the card, so that its estimates need not be listed again."""
    return any((result.name, table) in VIEWS for table in result.tables)


def _shown(report: AuditReport) -> Iterator[tuple[str, str, View, pd.DataFrame]]:
    for result in report.results:
        if result.status is Status.OK:
            for table, frame in result.tables.items():
                if view := VIEWS.get((result.name, table)):
                    yield result.name, table, view, frame


def _rows(frame: pd.DataFrame, columns: list[str]) -> Iterator[list[Cell]]:
    for row in frame.to_dict(orient="records"):
        yield [_cell(row, column) for column in columns]


def _cell(row: Mapping[Any, Any], column: str) -> Cell:
    value = row[column]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("n/a", figure=True)
    if isinstance(value, (str, bool)):
        return Cell(visible(value), figure=is_count(column))
    if is_count(column) or isinstance(value, int):
        return Cell(str(int(value)), figure=True)
    if column.startswith("p_"):
        return Cell(p_value(float(value)), figure=True)
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    below = interval(Estimate(float(value), low, high, 0)) if low is not None and high is not None else ""
    return Cell(number(float(value)), below, figure=True)
