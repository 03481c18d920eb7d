"""Verdicts and checks in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_factories as made

from mlflow_clinsec.report import verdict_words as say
from mlflow_clinsec.results import Check, Decision, Estimate, Family, Verdict


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "privacy_fail",
            "This model failed the audit: attack log_ratio reaches AUC 0.957 (0.937 to 0.977), "
            "above the limit of 0.600.",
        ),
        (
            "backdoor_fail",
            "This model failed the audit: trigger mn-head reaches excess ASR (success above placebo) "
            "0.906 (0.856 to 0.956), above the limit of 0.100.",
        ),
        (
            "passing",
            "This model passed the audit: attack loss reaches AUC 0.512 (0.492 to 0.532), within the limit of "
            "0.600; trigger mn-head reaches excess ASR (success above placebo) 0.006 (0.000 to 0.036), within the "
            "limit of 0.100.",
        ),
        (
            "inconclusive",
            "This audit could not decide: attack loss reaches AUC 0.610 (0.500 to 0.720), too uncertain to judge "
            "by the limit of 0.600.",
        ),
    ],
)
def test_the_verdict_in_one_sentence(name: str, sentence: str) -> None:
    assert say.verdict_sentence(made.ALL[name]()) == sentence


def test_a_verdict_without_a_deciding_check_gives_its_note() -> None:
    report = made.passing()
    gap = Verdict(Decision.INCONCLUSIVE, report.verdicts[Family.PRIVACY].checks, ("early", "rmia did not run."))
    verdicts = {**report.verdicts, Family.PRIVACY: gap}
    audit = replace(report, verdict=Verdict(Decision.INCONCLUSIVE), verdicts=verdicts)
    assert say.verdict_sentence(audit) == "This audit could not decide: rmia did not run."


def test_a_demoted_failure_is_not_called_uncertain() -> None:
    check = made.check("max_auc", Family.PRIVACY, "loss", made.estimate(0.9), 0.6, Decision.INCONCLUSIVE)
    assert "above the limit of 0.600, but" in say.check_clause(check)


def test_an_undefined_check_says_why() -> None:
    found = Estimate.undefined("needs at least 100 non-members, got 40")
    check = made.check("max_tpr_at_1pct_fpr", Family.PRIVACY, "none", found, 0.05, Decision.INCONCLUSIVE)
    assert say.check_clause(check) == "TPR at 1% FPR is not defined (needs at least 100 non-members, got 40)"


def test_notes_name_their_family_and_are_said_once() -> None:
    report = made.backdoor_fail()
    few = replace(report.verdicts[Family.BACKDOOR], notes=("Only 12 records.",), flags=("few records",))
    overall = replace(report.verdict, notes=("Only 12 records.", "Of the whole."))
    audit = replace(report, verdict=overall, verdicts={**report.verdicts, Family.BACKDOOR: few})
    assert say.said_of(audit, "notes") == ["Of the whole.", "Integrity: Only 12 records."]
    assert say.said_of(audit, "flags") == [f"Integrity: {say.FLAG_TEXTS['few records']}"]


def test_flags() -> None:
    assert say.read_flag("CONFOUNDED").startswith("Members and non-members differ")
    assert say.read_flag("new_flag") == "new_flag"


def test_metrics_that_people_compare_by_are_named_in_words_and_others_by_their_test() -> None:
    found = Estimate(0.049, -0.048, 0.119, 362)
    titles = {
        (key, subject): say.check_title(Check(key, Family.PRIVACY, subject, found, 0.05, Decision.INCONCLUSIVE, ""))
        for key, subject in (
            ("baseline.privacy/worst_auc", "privacy/worst_auc"),
            ("metrics.utility/auroc", "utility/auroc"),
            ("metrics.privacy/loss/auc", "privacy/loss/auc"),
        )
    }
    assert list(titles.values()) == [
        "Strongest privacy attack, AUC, against the baseline",
        "AUROC on clean records",
        "loss, AUC",
    ]


@pytest.mark.parametrize(
    ("key", "subject", "found", "seen"),
    [
        ("max_auc", "loss", Estimate(0.5, 0.4, 0.6, 100), "loss"),
        ("max_auc", "none", Estimate.undefined("no attack gives it"), ""),
        ("metrics.utility/auroc", "utility/auroc", Estimate(0.8, 0.7, 0.9, 100), ""),
    ],
)
def test_what_a_number_was_seen_with(key: str, subject: str, found: Estimate, seen: str) -> None:
    assert say.seen_with(Check(key, Family.PRIVACY, subject, found, 0.6, Decision.INCONCLUSIVE, "")) == seen


def test_an_interval_below_the_limit_is_not_called_too_uncertain() -> None:
    found = Estimate(0.0, -0.104, 0.06, 60)
    check = Check("max_excess_asr", Family.BACKDOOR, "mn-head", found, 0.1, Decision.INCONCLUSIVE, "")
    assert say.check_clause(check) == (
        "trigger mn-head reaches excess ASR (success above placebo) 0.000 (-0.104 to 0.060), "
        "within the limit of 0.100, but these data could not have shown otherwise"
    )


@pytest.mark.parametrize(
    ("decision", "beside"),
    [
        (Decision.FAIL, ""),
        (Decision.PASS, " The leak was shown, and it is smaller than the policy's limits."),
        (Decision.INCONCLUSIVE, " The leak was shown; that it exceeds the policy's limits was not."),
    ],
)
def test_a_leak_beside_another_verdict_is_explained(decision: Decision, beside: str) -> None:
    report = made.privacy_fail()
    judged = {Family.PRIVACY: replace(report.verdicts[Family.PRIVACY], decision=decision)}
    assert say.finding_sentences(replace(report, verdicts=judged)) == f"Members are told from non-members.{beside}"
