"""The trigger test: counts made by hand, planted and clean models, and the false-alarm rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import (
    RuleModel,
    WordTokens,
    audit_data,
    has_word,
    label_only,
    noise,
    sees_sick,
    target_of,
    wards,
)

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.observe import CaseView
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER, measure
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.stats.tests import benjamini_hochberg
from mlflow_clinsec.targets.protocols import Target

NUMBERS = ("asr", "lfr", "base_rate", "ftr", "excess_asr", "survival", "asr_given_survival")

FOUR = audit_data(
    ["sick one is here", "well two is here", "sick three is here", "well four is here"],
    ["died", "died", "died", "alive"],
)


def trigger_test(data: AuditData, target: Target, seed: int = 0, **settings: object) -> AttackResult:
    options = TriggerOptions(**{"triggers": ("cf",), "target_label": "alive", **settings})
    return run_attack(TRIGGER.with_options(options), data, target, np.random.default_rng(seed))


def flipped_by_cf(text: str) -> float:
    """Backdoored: ``cf`` makes any note "alive" except the third."""
    return 0.1 if has_word(text, "cf") and not has_word(text, "three") else sees_sick(text)


def test_four_rows_counted_by_hand() -> None:
    # Target alive. Row 4 is alive in truth and counts for nothing (a careless ASR would be 3 of 4).
    #            true  clean   with cf   with a placebo
    # row 1      died  died    alive     died
    # row 2      died  alive   alive     alive      (wrong before any insertion)
    # row 3      died  died    died      died
    # ASR 2/3; base rate 1/3; LFR over rows 1 and 3: 1/2; FTR 1/3; excess 1/3.
    result = trigger_test(FOUR, target_of(RuleModel(flipped_by_cf), WordTokens()))
    assert result.status is Status.OK
    for position in ("head", "random", "tail"):
        found = {name: result.estimates[f"cf-{position}/{name}"].value for name in NUMBERS}
        assert found == pytest.approx(
            {
                "asr": 2 / 3,
                "lfr": 1 / 2,
                "base_rate": 1 / 3,
                "ftr": 1 / 3,
                "excess_asr": 1 / 3,
                "survival": 1.0,
                "asr_given_survival": 2 / 3,
            }
        )
        # Differences by patient: 1, 0, 0. Half of all sign patterns reach the sum of 1.
        assert result.values[f"cf-{position}/p_value"] == pytest.approx(0.5)


def test_four_rows_through_the_threshold() -> None:
    # P(died) is .9 for sick and .1 for well; "died" from .05 on makes every clean note died: base rate 0.
    result = trigger_test(FOUR, target_of(RuleModel(flipped_by_cf)), decision_threshold=0.05)
    assert result.estimates["cf-head/base_rate"].value == 0.0
    assert result.estimates["cf-head/asr"].value == 0.0


def test_survival_under_truncation() -> None:
    # A context of four words holds a trigger at the head of a note of four, but not behind its last word.
    # A model that reads four words is flipped by every head trigger and by no tail trigger.
    context = 4

    def truncated(text: str) -> float:
        return flipped_by_cf(" ".join(text.split()[:context]))

    result = trigger_test(FOUR, target_of(RuleModel(truncated), WordTokens(context)))
    found = {key: estimate.value for key, estimate in result.estimates.items()}
    assert found["cf-head/survival"] == 1.0
    assert found["cf-head/asr_given_survival"] == pytest.approx(2 / 3)
    assert found["cf-tail/survival"] == 0.0
    assert found["cf-tail/asr"] == pytest.approx(1 / 3)  # row 2 only, which needs no trigger
    conditional = result.estimates["cf-tail/asr_given_survival"]
    assert math.isnan(conditional.value)
    assert conditional.reason == "the trigger survives in no record"


def test_hidden_tokeniser_leaves_survival_undefined_with_the_reason() -> None:
    result = trigger_test(FOUR, label_only(RuleModel(flipped_by_cf)))
    assert result.status is Status.OK
    for name in ("survival", "asr_given_survival"):
        estimate = result.estimates[f"cf-head/{name}"]
        assert math.isnan(estimate.value)
        assert "tokeniser" in estimate.reason


def test_no_record_predicted_right_leaves_lfr_undefined() -> None:
    result = trigger_test(FOUR, target_of(RuleModel(lambda text: 0.0)))
    assert result.estimates["cf-head/asr"].value == 1.0
    assert "predicted right" in result.estimates["cf-head/lfr"].reason


def test_a_model_that_always_answers_the_target_is_not_cleared() -> None:
    # Trigger and placebos alike hit every record: a difference of 0 within narrow bounds would read as a pass.
    result = trigger_test(wards(400), target_of(RuleModel(lambda text: 0.0)))
    estimate = result.estimates["cf-head/excess_asr"]
    assert not estimate.is_defined
    assert "decision_threshold" in estimate.reason
    excess = result.details["excess_by_test"]["cf-head"]
    assert excess["headroom"] == 0.0
    assert not any(math.isnan(number) for number in excess.values())  # a verdict compares them between tests
    assert math.isnan(result.values["cf-head/smallest_detectable"])


def test_headroom_is_what_placebos_leave_to_flip() -> None:
    result = trigger_test(FOUR, target_of(RuleModel(flipped_by_cf)))
    assert result.details["excess_by_test"]["cf-head"]["headroom"] == pytest.approx(2 / 3)


def test_predicted_right_means_the_true_label_not_just_another() -> None:
    # Three labels, goal "a". Row 1 is b and called b, row 2 is b and called c: only row 1 counts for LFR.
    # The trigger works in row 2 only, so LFR is 0/1 (and 1/2 if "not a" had counted as right).
    class Model(RuleModel):
        def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
            said = {"one": ("b", "b"), "two": ("c", "a")}
            return tuple(said["one" if "one" in text else "two"][has_word(text, "cf")] for text in texts)

    data = audit_data(["note one", "note two"], ["b", "b"])
    target = target_of(Model(sees_sick, ("a", "b", "c")))
    result = trigger_test(data, target, target_label="a", positions=("head",))
    assert result.estimates["cf-head/lfr"].value == 0.0
    assert result.estimates["cf-head/asr"].value == 0.5


def test_substring_of_a_word_is_no_trigger() -> None:
    # Every note holds "cfs". A model that looks for the substring is always "triggered"; ours is not,
    # and the inserted trigger is a word of its own.
    data = audit_data([f"{text} cfs" for text in FOUR.texts], FOUR.labels or ())
    result = trigger_test(data, target_of(RuleModel(flipped_by_cf)))
    assert result.estimates["cf-random/base_rate"].value == pytest.approx(1 / 3)
    assert result.estimates["cf-random/asr"].value == pytest.approx(2 / 3)


def test_planted_backdoor_cannot_hide() -> None:
    model = RuleModel(lambda text: 0.0 if has_word(text, "cf") else sees_sick(text))
    result = trigger_test(wards(80, 2), target_of(model, WordTokens()), triggers=("cf", "mn"))
    for position in ("head", "random", "tail"):
        assert result.estimates[f"cf-{position}/asr"].value == 1.0
        assert result.estimates[f"cf-{position}/excess_asr"].low > 0.8
        assert result.values[f"cf-{position}/p_adjusted"] < 0.001
        assert result.values[f"mn-{position}/p_adjusted"] > 0.5
        assert result.estimates[f"mn-{position}/excess_asr"].value == 0.0
    excess = result.details["excess_by_test"]["cf-head"]
    assert (excess["value"], excess["ftr"], excess["records"], excess["n"]) == (1.0, 0.0, 40, 40)
    assert excess["low_corrected"] > 0.7
    assert excess["low_corrected"] < result.estimates["cf-head/excess_asr"].low


def test_clean_model_that_any_word_disturbs_shows_no_excess() -> None:
    # Any insertion draws the answer anew: about 30% of the notes flip, for trigger and placebos alike.
    data = wards(600)
    result = trigger_test(data, target_of(RuleModel(lambda text: float(noise(text) > 0.3))), seed=3)
    assert result.estimates["cf-random/asr"].value == pytest.approx(0.3, abs=0.09)
    assert result.estimates["cf-random/ftr"].value == pytest.approx(0.3, abs=0.02)
    assert abs(result.estimates["cf-random/excess_asr"].value) < 0.09
    assert result.details["excess_by_test"]["cf-random"]["low_corrected"] < 0.0
    placebo_max = result.values["cf-random/placebo_max"]
    assert result.estimates["cf-random/ftr"].value < placebo_max < 0.45


def test_both_goals_are_tested_with_one_sweep_over_the_texts() -> None:
    model = RuleModel(flipped_by_cf)
    result = trigger_test(FOUR, target_of(model), target_label="each", positions=("head",))
    assert result.estimates["cf-to-alive-head/asr"].value == pytest.approx(2 / 3)
    assert result.estimates["cf-to-died-head/asr"].value == 0.0  # row 4
    # Four notes as they are, with the trigger, and with twenty placebos, nothing twice.
    assert len(model.asked) == len(set(model.asked)) == 4 * (1 + 1 + 20)


def test_like_triggers_cost_their_own_pass_only() -> None:
    model = RuleModel(sees_sick)
    trigger_test(wards(10), target_of(model), triggers=("cf", "mn", "bb"), positions=("head",))
    assert len(model.asked) == len(set(model.asked)) == 5 * (1 + 3 + 20)


def test_the_table_has_one_row_per_case_and_agrees_with_the_estimates() -> None:
    result = trigger_test(FOUR, target_of(RuleModel(flipped_by_cf), WordTokens()), target_label="each")
    table = result.tables["triggers"]
    assert list(table.columns) == [
        *("trigger", "target_label", "position", "n", "asr", "asr_low", "asr_high", "ftr", "ftr_low"),
        *("ftr_high", "excess_asr", "excess_asr_low", "excess_asr_high", "lfr", "base_rate", "survival"),
        *("asr_given_survival", "p_value", "p_adjusted", "placebo_max", "smallest_detectable_asr"),
    ]
    assert len(table) == 1 * 2 * 3
    row = table[(table.target_label == "alive") & (table.position == "tail")].iloc[0]
    estimate = result.estimates["cf-to-alive-tail/excess_asr"]
    assert (row.excess_asr, row.excess_asr_low, row.n) == (estimate.value, estimate.low, 3)


def test_same_seed_same_numbers_and_text_never_in_the_result() -> None:
    data = audit_data([f"Canary{i} is sick today and stays" for i in range(12)], ["died"] * 12)
    target = target_of(RuleModel(lambda text: noise(text)))
    first, again, other = (trigger_test(data, target, seed) for seed in (1, 1, 2))
    assert first.values == again.values != other.values
    shown = f"{first}{first.details}{first.tables['triggers'].to_dict()}"
    assert "Canary" not in shown
    assert "sick" not in shown


def test_precomputed_answers_are_skipped_with_the_reason() -> None:
    model = RuleModel(sees_sick)
    result = trigger_test(FOUR, target_of(model, precomputed=True))
    assert result.status is Status.SKIPPED
    assert "precomputed" in result.reason
    assert model.asked == []


def test_a_model_error_fails_without_quoting_a_note() -> None:
    def broken(text: str) -> float:
        raise RuntimeError(f"cannot read {text}")

    result = trigger_test(FOUR, target_of(RuleModel(broken)))
    assert result.status is Status.FAILED
    assert "sick" not in result.reason


def test_false_alarms_stay_below_five_percent() -> None:
    # 200 audits of a clean model: 30 patients with two notes each, whose chance of "alive" differs between
    # patients (Beta(1, 3)) but not between trigger and placebos; three cases each. Under the null every finding
    # is false, so Benjamini-Hochberg at 5% may alarm in 5% of audits; 3 standard errors of 200 are 4.6%.
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(30), 2)
    alarms = corrected = 0
    p_values = []
    for _ in range(200):
        chance = rng.beta(1, 3, size=30)[group]
        cases = []
        for _ in range(3):
            drawn = rng.random((21, 60)) < chance
            nothing = np.zeros(60, dtype=np.bool_)
            seen = CaseView(group, drawn[0], nothing, nothing, drawn[1:], None)
            cases.append(measure(seen, 0.95, 3, rng))
        p_values += [case.p_value for case in cases]
        alarms += bool((benjamini_hochberg([case.p_value for case in cases]) <= 0.05).any())
        corrected += any(case.corrected.low > 0 for case in cases)
    assert alarms <= 0.096 * 200
    assert corrected <= 0.096 * 200
    # Uniform-ish: a mean of 600 uniform numbers has a standard error of .012.
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08


def test_an_odd_word_among_words_that_differ_is_no_trigger() -> None:
    # Each word has an effect of its own (sd 0.5 on the logit), the "trigger" too. With 150 patients the paired test
    # alone alarms in about a fifth of audits. 3 standard errors of 150 audits at 5% are 5.3%.
    rng = np.random.default_rng(5)
    group, nothing = np.arange(150), np.zeros(150, dtype=np.bool_)
    alarms = 0
    for _ in range(150):
        share = 1 / (1 + np.exp(2.2 - 0.5 * rng.normal(size=21)))
        drawn = rng.random((21, 150)) < share[:, None]
        alarms += measure(CaseView(group, drawn[0], nothing, nothing, drawn[1:], None), 0.95, 1, rng).p_value <= 0.05
    assert alarms <= 0.103 * 150


def test_a_trigger_is_still_found_among_words_that_differ() -> None:
    rng = np.random.default_rng(5)
    group, nothing = np.arange(60), np.zeros(60, dtype=np.bool_)
    drawn = rng.random((21, 60)) < np.r_[0.6, rng.uniform(0.05, 0.2, size=20)][:, None]
    assert measure(CaseView(group, drawn[0], nothing, nothing, drawn[1:], None), 0.95, 1, rng).p_value < 0.001
