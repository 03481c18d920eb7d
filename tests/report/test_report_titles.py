"""Names of figures for people."""

from __future__ import annotations

import pytest

from mlflow_clinsec.docs_pages import metrics_read
from mlflow_clinsec.report.titles import METRIC_TITLES, figure_title, metric_title, short_title, title_of_test


def test_every_figure_that_is_explained_has_a_title_of_its_own() -> None:
    parts = (metrics_read.MEMBERSHIP, metrics_read.CANARY, metrics_read.REGURGITATION, *metrics_read.TESTS.values())
    explained = {name for part in parts for name in part}
    assert explained == set(METRIC_TITLES)
    assert len(set(METRIC_TITLES.values())) == len(METRIC_TITLES)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("privacy/worst_auc", "Strongest privacy attack, AUC"),
        ("privacy/confidence/patient_auc", "confidence, AUC per patient"),
        ("backdoor/attention_focus/mn/max_excess_drift", "attention_focus, mn, Excess drift of attention"),
        ("backdoor/clean_utility/cacc", "clean_utility, Accuracy (CACC)"),
        ("privacy/new_attack/nonmember_share", "new_attack, Non-member share"),
        ("held_out/nll", "held_out/nll"),  # a metric of the run's own
        ("f1", "f1"),
        ("backdoor/a\u200b/b\u202e/asr", "a[U+200B], b[U+202E], Success (ASR)"),
    ],
)
def test_titles_of_figures(name: str, title: str) -> None:
    assert figure_title(name) == title


def test_columns_and_axes_have_less_room() -> None:
    assert short_title("privacy/worst_auc") == "AUC of the strongest attack"
    assert short_title("utility/auroc") == figure_title("utility/auroc") == "AUROC on clean records"


def test_titles_of_metrics_and_tests() -> None:
    assert metric_title("mn-head/asr") == "mn-head, Success (ASR)"
    assert title_of_test("backdoor/trigger") == "Integrity: trigger"
    assert title_of_test("other/trigger") == "other/trigger"
