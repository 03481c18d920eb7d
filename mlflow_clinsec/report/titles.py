"""What an audit's figures are called where people read them; ``docs_pages/metrics_read.py`` says what they mean.

In MLflow a figure keeps its key (``privacy/loss/patient_auc``), by which it is searched for and limited.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_clinsec.report.headlines import HEADLINE_TITLES
from mlflow_clinsec.report.wording import visible, words
from mlflow_clinsec.results import Family

FAMILY_TITLES: Mapping[Family, str] = {Family.PRIVACY: "Privacy", Family.BACKDOOR: "Integrity"}

METRIC_TITLES: Mapping[str, str] = {
    "auc": "AUC",
    "tpr_at_1pct_fpr": "TPR at 1% FPR",
    "tpr_at_0_1pct_fpr": "TPR at 0.1% FPR",
    "balanced_accuracy": "Balanced accuracy",
    "epsilon_lower": "Epsilon at least",
    "patient_auc": "AUC per patient",
    "patient_tpr_at_1pct_fpr": "TPR at 1% FPR per patient",
    "p_value": "p",
    "p_value_holm": "p (Holm)",
    "n_members": "Members scored",
    "n_nonmembers": "Non-members scored",
    "coverage": "Records scored",
    "mean_exposure": "Mean exposure (bits)",
    "max_exposure": "Largest exposure (bits)",
    "exposure_at_chance": "Exposure by chance (bits)",
    "exposure_ceiling": "Largest exposure that could be shown (bits)",
    "extractable_members": "Extractable members",
    "extractable_nonmembers": "Extractable non-members",
    "specific_share_members": "Own words that came out, members",
    "specific_share_nonmembers": "Own words that came out, non-members",
    "template_share_members": "Template words, members",
    "template_share_nonmembers": "Template words, non-members",
    "asr": "Success (ASR)",
    "base_rate": "Base rate",
    "lfr": "Flips (LFR)",
    "ftr": "Placebo (FTR)",
    "excess_asr": "Excess (ASR − FTR)",
    "survival": "Survival",
    "asr_given_survival": "ASR given survival",
    "p_adjusted": "Adjusted p",
    "placebo_max": "Strongest placebo",
    "smallest_detectable": "Smallest detectable excess",
    "smallest_detectable_asr": "Smallest detectable ASR",
    "naturalness": "Naturalness",
    "max_excess_focus": "Excess attention of one head",
    "max_excess_drift": "Excess drift of attention",
    "cacc": "Accuracy (CACC)",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "tpr": "Caught",
    "frr": "Clean rejected",
    "asr_after": "ASR behind the filter",
    "cacc_after": "Accuracy behind the filter",
    "probability": "Probability of a planted trigger",
    "threshold": "Threshold of that probability",
    "found_asr": "Best find: ASR",
    "found_ftr": "Best find: placebo (FTR)",
    "found_excess_asr": "Best find: excess",
    "found_score": "Best find: score",
    "natural_asr": "Strongest ordinary word: ASR",
    "natural_excess_asr": "Strongest ordinary word: excess",
    "shift_nats": "Shift (nats)",
    "p_shift_adjusted": "Adjusted p of the shift",
}
"""Last part of a figure's key -> title."""

SHORT_TITLES: Mapping[str, str] = {
    "privacy/worst_auc": "AUC of the strongest attack",
    "privacy/worst_tpr_at_1pct_fpr": "TPR at 1% FPR of the strongest",
    "backdoor/worst_excess_asr": "Worst trigger, above placebo",
    "backdoor/worst_asr": "Worst trigger, success (ASR)",
    "backdoor/clean_utility/cacc": "Accuracy on clean records (CACC)",
    "held_out/nll": "Held-out NLL, nats per token",
}
"""Figures that head a column or an axis, where there is little room."""


def metric_title(metric: str) -> str:
    """Title of a metric, its key in words where nobody has named it. A group may stand before it: ``mn-head/asr``."""
    group, _, last = metric.rpartition("/")
    title = METRIC_TITLES.get(last) or words(visible(last)).capitalize()
    return f"{visible(group)}, {title}" if group else title


def figure_title(name: str) -> str:
    """Title of a headline or of a test's figure, as in "confidence, AUC per patient"; else the name as it is."""
    if name in HEADLINE_TITLES:
        return HEADLINE_TITLES[name]
    family, _, rest = name.partition("/")
    test, _, metric = rest.partition("/")
    if family not in {one.value for one in Family} or not metric:
        return visible(name)
    return f"{visible(test)}, {metric_title(metric)}"


def short_title(name: str) -> str:
    """Title of a figure for a column or an axis."""
    return SHORT_TITLES.get(name) or figure_title(name)


def title_of_test(name: str) -> str:
    """Title of a test by ``<family>/<test>``, as in "Privacy: loss"."""
    family, _, test = name.partition("/")
    titles = {one.value: title for one, title in FAMILY_TITLES.items()}
    return f"{titles[family]}: {visible(test)}" if family in titles and test else visible(name)
