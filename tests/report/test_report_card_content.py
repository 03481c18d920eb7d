"""What the card says, section by section."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import report_factories as made
from card_page import parsed

from mlflow_clinsec.report.card import render_card
from mlflow_clinsec.results import Estimate, Family


def test_the_verdict_is_said_first_in_words() -> None:
    text = parsed(made.privacy_fail()).text
    assert "This model failed the audit: attack log_ratio reaches AUC 0.957" in text
    assert text.index("This model failed") < text.index("Policy checks")
    assert parsed(made.privacy_fail()).all("section")[0]["class"] == "verdict FAIL"


def test_record_and_patient_figures_stand_side_by_side_worst_first() -> None:
    text = parsed(made.privacy_fail()).text
    attacks = text[text.index("Membership attacks") : text.index("Further figures")]
    order = [attacks.index(name) for name in ("log_ratio", "reference", "min_k_plus_plus", "blind")]
    assert order == sorted(order)
    assert "0.942 to 0.972" in attacks  # per record
    assert "0.967 to 1.000" in attacks  # per patient
    assert "Strongest: log_ratio. Tells member from non-member in 96 of 100 pairs" in text
    assert "needs at least 1000 non-members, has 400" in text


def test_the_trigger_table_and_its_reading() -> None:
    text = parsed(made.backdoor_fail()).text
    assert "Worst: with “mn” (place: head), 100 of 100 records of another class are called alive" in text
    for heading in ("Placebo (FTR)", "Excess", "Adjusted p", "Survival", "ASR given survival", "LFR", "Base rate"):
        assert heading in text
    assert "no record could be judged" in text
    assert "Accuracy (CACC)" in text
    assert "100 of 100 turned; 9 of 100 with placebo words: the trigger does what placebos do not." in text
    assert "10 of 100 turned; 10 of 100 with placebo words: not told apart from placebo words." in text


def test_attention_focus_is_read_out() -> None:
    text = parsed(made.backdoor_fail()).text
    assert "One head gives it 62 of 100 parts of its attention more than it gives placebo words." in text
    assert "No head looks at it noticeably more than at placebo words" in text
    assert "0.481" in text[text.index("Excess drift") : text.index("One head gives it 62")]
    assert "Figures of further tests" not in text  # neither stands a second time among the others
    assert "max_excess" not in text


def test_a_rate_that_rests_on_too_few_records_is_said_to() -> None:
    few = made.trigger_row("mn", "tail", 0.5, 0.25, n=4)
    text = parsed(made.report([made.trigger_result([few])], {})).text
    assert text.count("withheld: it rests on fewer than 11 records or patients") == 3


def test_figures_of_further_tests_have_titles() -> None:
    report = made.passing()
    found = {"extractable_members": made.estimate(0.031)}
    recited = replace(report.results[0], name="regurgitation", estimates=found, judged=False)
    page = parsed(replace(report, results=(*report.results, recited)))
    assert "Extractable members" in page.text[page.text.index("Figures of further tests") :]
    assert "extractable_members" not in page.text


def test_every_attack_and_number_has_a_reading() -> None:
    text = parsed(made.privacy_fail()).text
    assert "Tells member from non-member in 70 of 100 pairs (guessing: 50). Finds 9 of 100 members" in text
    assert "Words, length and dates alone tell them apart in 53 of 100 pairs" in text
    assert "Had the true value been 0.654 or more, 80 of 100 such audits would have shown it" in text
    assert "about as often, as it should" in text
    utility = parsed(made.passing()).text
    assert "Right on 90 of 100 clean records." in utility
    assert "Average precision of the same ranking" in utility


def test_split_provenance() -> None:
    text = parsed(made.privacy_fail()).text
    section = text[text.index("Split provenance") : text.index("Counts")]
    assert "Declared random: members were drawn by chance before training." in section
    assert "400 records, of 100 patients" in section
    assert "<11 members and <11 non-members stood on the other side as well" in section
    assert "AUC 0.526 (0.511 to 0.541)" in section
    unknown = replace(made.privacy_fail(), settings={"privacy": {"split": "unknown"}})
    assert "Not declared random (unknown)" in parsed(unknown).text


def test_frameworks_say_what_ran_and_what_did_not() -> None:
    text = parsed(made.privacy_fail()).text
    section = text[text.index("Where these findings stand") : text.index("Provenance", text.index("164.514"))]
    for part in ("AML.T0024.000", "LLM02:2025", "EDPB Opinion 28/2024", "this software has no such test"):
        assert part in section
    assert "No legal conclusion is drawn" in section
    assert "Name of the expert" in section


def test_the_sign_off_names_what_is_signed() -> None:
    text = " ".join(parsed(made.passing()).text.split())
    signed = text[text.index("Sign-off", text.index("Provenance", text.index("164.514"))) :]
    assert "PASS, models:/mortality-clinicalbert/3, audited 2026-11-21 20:57 UTC" in signed
    assert "configuration 9f2c44d1a0b37e55, seed 7" in signed


def test_the_first_stop_skips_to_the_results() -> None:
    page = parsed(made.passing())
    assert page.all("a")[0] == {"class": "skip", "href": "#checks"}


def test_a_lower_limit_is_said_to_be_one() -> None:
    report = made.passing()
    check = replace(report.verdicts[Family.BACKDOOR].checks[0], bound="min", threshold=0.8)
    verdict = replace(report.verdicts[Family.BACKDOOR], checks=(check,))
    text = parsed(replace(report, verdicts={Family.BACKDOOR: verdict})).text
    assert "at least 0.800" in text
    assert "at least" not in parsed(report).text[: parsed(report).text.index("What the attacker")]


def test_what_did_not_run_is_told_with_its_reason() -> None:
    text = parsed(made.privacy_fail()).text
    section = text[text.index("What was not run") :]
    assert "rmia" in section
    assert "needs shadow models: not offered by a causal-lm target" in section
    assert "message withheld" in section
    assert "Everything that was asked for ran." in parsed(made.passing()).text


def test_flags_power_and_small_counts() -> None:
    text = parsed(made.inconclusive()).text
    assert "a classifier that never sees the model tells them apart" in text
    assert "0.790" in text  # smallest value the sample would have shown
    assert "640" in text  # records needed
    counts = text[text.index("The data") : text.index("What this audit does not show")]
    assert "<11" in counts
    assert "52" not in counts  # would give the 8 non-members away


def test_the_p_column_stands_only_where_there_are_p_values() -> None:
    report = made.passing()
    without = replace(report, results=tuple(replace(result, values={}) for result in report.results))
    assert "chance of an AUC this large" in parsed(report).text
    assert "chance of an AUC this large" not in parsed(without).text


def test_the_finding_and_what_could_have_been_found_are_told() -> None:
    leak, unknown = parsed(made.privacy_fail()).text, parsed(made.inconclusive()).text
    assert "Membership: leak. Members are told from non-members." in " ".join(leak.split())
    assert "a true AUC of 0.588 or more would have been found" in leak
    assert "Membership: not evidential" in unknown
    assert "this sample is too small to show one" in unknown


def test_corrected_p_values_stand_beside_the_attacks_and_not_beside_the_baseline() -> None:
    text = parsed(made.privacy_fail()).text
    assert "p (Holm)" in text
    assert text.count("not judged") == 1


def test_a_figure_that_no_attack_has_is_explained_once() -> None:
    text = parsed(made.privacy_fail()).text
    assert text.count("needs at least 1000 non-members, has 400") == 1
    assert "Per patient" in text
    ungrouped = made.privacy_attack("loss", 0.6, 0.1)
    plain = {k: v for k, v in ungrouped.estimates.items() if not k.startswith("patient")}
    assert "Per patient" not in parsed(made.report([replace(ungrouped, estimates=plain)], {})).text


def test_a_bound_on_epsilon_stands_among_the_attacks() -> None:
    attack = made.privacy_attack("loss", 0.9, 0.4)
    bound = Estimate(1.234, 1.234, inf, 100, method="one run")
    text = parsed(made.report([replace(attack, estimates={**attack.estimates, "epsilon_lower": bound})], {})).text
    assert "Epsilon at least" in text
    assert "1.234or more" in "".join(text.split("\n"))
    assert "Other figures" not in text


def test_the_overlap_guard_is_told() -> None:
    assert "Some members also stood among the non-members" in parsed(made.passing()).text
    assert "Some members also stood among the non-members" not in parsed(made.inconclusive()).text


def test_paraphrase_acceptance_by_side() -> None:
    text = parsed(made.privacy_fail()).text
    assert "0.815" in text  # 1630 / 2000
    assert "0.828" in text  # 1655 / 2000 = 0.8275


def test_sign_off_provenance_and_title() -> None:
    text = parsed(made.passing()).text
    for part in ("Sign-off", "Reviewed by", "9f2c44d1a0b37e55", "2.13.0", "2026-11-21 20:57 UTC"):
        assert part in text
    titled = replace(made.passing(), settings={"report": {"title": "Spring release"}})
    assert parsed(titled).text.count("Spring release") == 2


def test_a_family_that_was_not_asked_for_has_no_section() -> None:
    text = parsed(made.privacy_fail()).text
    assert "Integrity: does a hidden trigger" not in text
    only_skips = made.report([made.skipped(Family.BACKDOOR, "trigger", "needs labels")], {})
    assert "No trigger test ran" in render_card(only_skips)
    assert "No policy check could be made" in render_card(only_skips)
