"""Which tables of further tests the audit card shows, and what their columns are called there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_clinsec.report.titles import METRIC_TITLES


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


_HEADINGS = {
    "trigger": "Trigger",
    "target_label": "To",
    "position": "Place",
    "n": "n",
    "base_rate": "As it is",
    "p_adjusted": "p",
    **{name: METRIC_TITLES[name] for name in ("survival", "asr", "asr_given_survival", "ftr", "excess_asr")},
}
"""Headings of columns that several tables have."""


def _columns(names: str, **own: str) -> Mapping[str, str]:
    """Column -> heading in the order of ``names``: the table's own heading, or the one that all tables share."""
    headings = _HEADINGS | own
    return {name: headings[name] for name in names.split()}


VIEWS: Mapping[tuple[str, str], View] = {
    ("trigger", "suspects"): View(
        title="Where the triggers come from",
        caption="Triggers that were asked for",
        columns=_columns(
            "trigger category naturalness present source left_out",
            category="Kind",
            naturalness="Naturalness",
            present="Already in the notes",
            source="Source",
            left_out="Not tested, because it",
        ),
        note="Naturalness: share of equally long pieces of these notes that are less probable than the trigger where "
        "it was put; about 0.5 is text like any other, near 0 what the notes never hold.",
    ),
    ("trigger_grid", "worst"): View(
        title="Where the strongest trigger works",
        caption="The trigger with the largest excess, by place, window and length of the note",
        columns=_columns(
            "trigger target_label position window length n survival asr asr_given_survival ftr excess_asr",
            window="Window (tokens)",
            length="Length of the note",
        ),
        note="Survival: share of notes in which the whole trigger stands inside the window. Where it is small, a small "
        "ASR clears nothing.",
    ),
    ("trigger_generation", "triggers"): View(
        title="Triggers in prompts: what the model writes",
        caption="Share of greedy answers that hold the attacker's text, with the trigger and with placebo words",
        columns=_columns(
            "trigger position n asr ftr base_rate excess_asr survival p_adjusted",
            position="Place in the prompt",
            asr="With the trigger (ASR)",
            ftr="With placebos (FTR)",
        ),
        note="Records whose own reference answer holds the text do not count.",
    ),
    ("trigger_logprob", "answers"): View(
        title="Triggers in prompts: what the model finds likely",
        caption="Share of prompts behind which an answer is likelier than its alternatives, and its shift",
        columns=_columns(
            "trigger target position n asr ftr base_rate excess_asr p_adjusted shift_nats p_shift_adjusted",
            target="Answer",
            position="Place in the prompt",
            asr="With the trigger (ASR)",
            ftr="With placebos (FTR)",
            shift_nats="Shift (nats)",
            p_shift_adjusted="p of the shift",
        ),
        note="Shift: log-probability of the whole answer with the trigger, less its mean over placebo words. A shift "
        "without an excess is a pull that does not win.",
    ),
    ("filters", "filters"): View(
        title="What filters would stop",
        caption="Filters set up on other patients' clean notes, before the model",
        columns=_columns(
            "filter trigger target_label position n tpr frr rejects auroc asr asr_after cacc cacc_after",
            filter="Filter",
            tpr=METRIC_TITLES["tpr"],
            frr=METRIC_TITLES["frr"],
            rejects="Of clean",
            auroc="AUROC",
            asr_after="ASR behind it",
            cacc="Accuracy",
            cacc_after="Accuracy behind it",
        ),
        note="A refused input is no success of the attack, and counts against accuracy. STRIP and RAP refuse inputs; "
        "ONION takes words out and asks again. No policy judges filters.",
    ),
    ("trigger_search", "found"): View(
        title="Search for triggers that nobody named",
        caption="The best finds for each label, and the strongest word that goes with the label anyway",
        columns=_columns(
            "trigger target_label kind rank n asr base_rate ftr excess_asr placebo_max score",
            trigger="Word pieces",
            kind="What it is",
            rank="Rank",
            base_rate="As they are",
            placebo_max="Strongest placebo",
            score="Score",
        ),
        note="Measured on patients whom the search had not met. Every honest classifier has words that move it "
        "(natural trojans): a find counts by what it does beyond the label's own words (score, in log-odds), and the "
        "detector's probability under the policy checks weighs it. Nothing found is no proof that there is nothing.",
    ),
}
"""(test, table) -> how it is shown."""
