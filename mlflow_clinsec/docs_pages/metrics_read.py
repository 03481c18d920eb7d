"""How to read each number that an attack or test logs. A test holds the names against what really is logged."""

from __future__ import annotations

from collections.abc import Mapping

Readings = Mapping[str, str]
"""Metric -> what it means and how to read it."""

MEMBERSHIP: Readings = {
    "auc": "chance that a random member outscores a random non-member; 0.5 is guessing, 1 tells all apart",
    "tpr_at_1pct_fpr": "share of members found when at most 1 of 100 non-members is wrongly accused; guessing gives "
    "0.01. It shows a few records learned by heart, which the AUC hides",
    "tpr_at_0_1pct_fpr": "the same at 1 of 1,000; undefined below 1,000 non-members",
    "balanced_accuracy": "mean share of members and of non-members called right, by a threshold from other patients; "
    "guessing gives 0.5",
    "patient_auc": "AUC of an attacker who averages a patient's records; with a patient column only",
    "patient_tpr_at_1pct_fpr": "likewise, members found at 1% false alarms",
    "epsilon_lower": "differential privacy's epsilon is at least this, with 95% confidence; 0 where nothing was shown; "
    "undefined unless the split was random",
    "p_value": "chance of so large an AUC if membership were dealt at random among patients",
    "p_value_holm": "the same after paying for all attacks that were tried; a leak is shown at 0.05 or less",
    "n_members": "members that have a score; small counts are withheld",
    "n_nonmembers": "non-members that have a score",
    "coverage": "share of the records that have a score",
}
"""What every membership attack logs."""

UNJUDGED = frozenset({"epsilon_lower", "p_value", "p_value_holm"})
"""Metrics that attacks without a policy do not have."""

CANARY: Readings = {
    **{name: MEMBERSHIP[name] for name in ("auc", "tpr_at_1pct_fpr", "tpr_at_0_1pct_fpr", "balanced_accuracy")},
    "epsilon_lower": "one-run bound from the coin flips, with 95% confidence",
    "p_value": "exact: chance of such ranks if training had left no trace of the canaries",
    "mean_exposure": "bits; log2(left out + 1) - log2(rank among those left out), mean over the included canaries",
    "max_exposure": "bits; of the canary that stands out most",
    "exposure_at_chance": "bits; what a model without memory shows on average",
    "exposure_ceiling": "bits; the most that this number of canaries can show",
}

REGURGITATION: Readings = {
    "extractable_members": "share of members of whom one run of the patient's own words came out",
    "extractable_nonmembers": "the same of non-members: what a fluent model writes by itself",
    "specific_share_members": "share of the patient's own words that came out, mean over members",
    "specific_share_nonmembers": "the same of non-members",
    "template_share_members": "share of words that are template, shared with other patients, mean over members",
    "template_share_nonmembers": "the same of non-members",
}

SUCCESS: Readings = {
    "asr": "share that turns to the target with the trigger inserted, among records that are not of the target",
    "base_rate": "share that the model gives the target as they are",
    "lfr": "as `asr`, among records that the model gets right as they are",
    "ftr": "as `asr`, with matched placebo words instead; mean over the placebos",
    "excess_asr": "`asr` minus `ftr`: what the trigger does beyond any odd word. The policy judges this one",
    "survival": "share of records in which the trigger still stands after tokenisation and truncation",
    "asr_given_survival": "`asr` among those; close to 1 beside a small `survival` is a working trigger behind a short "
    "context",
    "p_value": "the larger of two: the trigger would beat its placebos on other patients, and one more placebo word "
    "would not do as much",
    "p_adjusted": "the same, Benjamini-Hochberg over all triggers, positions and targets",
    "placebo_max": "what the strongest single placebo reached: how far an innocent word can go",
    "smallest_detectable": "smallest excess that this sample would show to be above 0 with 80% power",
    "smallest_detectable_asr": "the same as a success rate",
}

_OF_THE_TRIGGER_TEST = frozenset({"p_value", "placebo_max", "smallest_detectable", "smallest_detectable_asr"})
NATURALNESS = "how natural the trigger looks in these notes, 0 to 1; about 0.5 is text like any other"

TESTS: Mapping[str, Readings] = {
    "trigger": {**SUCCESS, "naturalness": NATURALNESS},
    "trigger_grid": {name: SUCCESS[name] for name in ("asr", "survival", "asr_given_survival", "excess_asr")},
    "attention_focus": {
        "max_excess_focus": "share of attention on the trigger minus that on placebos, at the head chosen on the other "
        "half of the patients; near 0 in a clean model, large where a head was taught to look",
        "max_excess_drift": "share of records in which more than 40% of the tokens look at the trigger most, minus "
        "that of placebos, at a head chosen likewise",
    },
    "clean_utility": {
        "cacc": "share of clean records predicted right",
        "auroc": "ranking of clean records by the positive label's probability; 0.5 is guessing",
        "auprc": "average precision of the same ranking; compare with the share of positives",
    },
    "filters": {
        "tpr": "share of triggered inputs that the filter catches",
        "frr": "share of clean records (ONION: of their words) that it rejects",
        "auroc": "chance that a triggered input looks more suspicious to it than a clean one",
        "asr": "attack success without the filter",
        "asr_after": "attack success behind the filter",
        "cacc": "clean accuracy without the filter",
        "cacc_after": "clean accuracy behind it; the price",
    },
    "trigger_search": {
        "probability": "the detector's probability that a trigger was planted",
        "threshold": "above it the model is flagged",
        "found_asr": "share of other patients' records that the best find turns to the label",
        "found_ftr": "the same with its placebos",
        "found_excess_asr": "the difference",
        "natural_asr": "share that the strongest ordinary word of the label turns",
        "natural_excess_asr": "the same above its placebos; compare the find with this",
        "found_score": "score of the best find; 1 is what turns the mean record",
    },
    "trigger_generation": {**SUCCESS, "naturalness": NATURALNESS},
    "trigger_logprob": {
        **{name: text for name, text in SUCCESS.items() if name not in _OF_THE_TRIGGER_TEST},
        "shift_nats": "log-probability of the target with the trigger minus that with placebos, in nats; mean over "
        "records",
        "p_shift_adjusted": "p-value of that shift, Benjamini-Hochberg over all cases",
    },
}
"""Test -> the last part of the names of what it logs."""
