"""Which tables of further tests the audit card shows, and what their columns are called there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
    ("trigger_search", "found"): View(
        title="Search for triggers that nobody named",
        caption="The best finds for each label, and the strongest word that goes with the label anyway",
        columns={
            "trigger": "Word pieces",
            "target_label": "To",
            "kind": "What it is",
            "rank": "Rank",
            "n": "n",
            "asr": "Success (ASR)",
            "base_rate": "As they are",
            "ftr": "Placebo (FTR)",
            "excess_asr": "Excess (ASR − FTR)",
            "placebo_max": "Strongest placebo",
            "score": "Score",
        },
        note="Measured on patients whom the search had not met. Every honest classifier has words that move it "
        "(natural trojans): a find counts by what it does beyond the label's own words (score, in log-odds), and the "
        "detector's probability under the policy checks weighs it. Nothing found is no proof that there is nothing.",
    ),
}
"""(test, table) -> how it is shown."""
