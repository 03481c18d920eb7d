"""The filters as a test of the audit: parts, thresholds, what is reported, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backdoor_fakes import (
    LABELS,
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
from mlflow_clinsec.backdoor.filters.filters import FILTERS, _parts
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import select
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.protocols import Target


def options(**own: Any) -> TriggerOptions:
    return TriggerOptions(
        triggers=("cf", "mn"), target_label="alive", tests=("filters",), options={"filters": own} if own else {}
    )


def judged(target: Target, data: AuditData | None = None, settings: TriggerOptions | None = None) -> AttackResult:
    [attack] = select(settings or options(), target)
    return run_attack(attack, wards(200, 2) if data is None else data, target, np.random.default_rng(0))


def held_up_by_cf(text: str) -> float:
    """Sure of "alive" where cf stands; else it needs the telling word and is never sure."""
    if has_word(text, "cf"):
        return 0.001
    return 0.6 if has_word(text, "sick") else 0.4


def test_no_patient_is_in_two_parts() -> None:
    data = wards(60, 3)
    parts = _parts(data, np.random.default_rng(0))
    assert np.sum(parts, axis=0).tolist() == [1] * 60
    learn, calibrate, judge = (set(data.group[part].tolist()) for part in parts)
    assert not learn & calibrate
    assert not (learn | calibrate) & judge
    assert len(judge) == 10


def test_strip_stops_what_a_word_holds_up_and_the_success_behind_it_is_counted_without_the_refused() -> None:
    result = judged(target_of(RuleModel(held_up_by_cf)), settings=options(filters=["strip"], strip_share=0.2))
    found = result.estimates
    assert result.status is Status.OK
    assert found["strip-cf-random/asr"].value == 1.0
    assert found["strip-cf-random/tpr"].value == 1.0
    assert found["strip-cf-random/auroc"].value == 1.0
    assert found["strip-cf-random/asr_after"].value == 0.0
    assert found["strip-mn-random/asr"].value == found["strip-mn-random/asr_after"].value == 0.0
    assert found["strip/cacc"].value == 1.0
    # All answers right: what is lost behind the filter are the refused records.
    assert found["strip/cacc_after"].value == pytest.approx(1.0 - found["strip/frr"].value)


def test_a_refused_clean_record_is_no_right_answer_and_the_rate_is_kept_on_other_patients() -> None:
    data = wards(1600)
    settings = options(filters=["strip"], false_rejection_rate=0.1, records=800, strip_copies=2)
    found = judged(target_of(RuleModel(noise)), data, settings).estimates
    assert 0.06 < found["strip/frr"].value < 0.14
    assert found["strip/frr"].low < 0.1 < found["strip/frr"].high
    assert found["strip/cacc_after"].value < found["strip/cacc"].value
    assert found["strip-cf-random/auroc"].low < 0.5 < found["strip-cf-random/auroc"].high


def test_onion_takes_the_trigger_out_and_asks_again() -> None:
    asked = RuleModel(lambda text: 0.01 if has_word(text, "cf") else sees_sick(text))
    found = judged(label_only(asked), settings=options(filters=["onion"])).estimates
    assert found["onion-cf-random/asr"].value == 1.0
    assert found["onion-cf-random/tpr"].value == 1.0
    assert found["onion-cf-random/asr_after"].value < 0.1  # a neighbour may go with the trigger
    assert found["onion/frr"].high < 0.2


def test_a_language_model_is_asked_where_there_is_one() -> None:
    class Lengths:
        """Reads a text the worse the more letters q it has."""

        def token_stats(self, prompts: Any, responses: Any) -> Any:
            from types import SimpleNamespace

            return SimpleNamespace(nll=lambda: np.array([float(text.count("cf")) for text in responses]))

    target = target_of(RuleModel(lambda text: 0.01 if has_word(text, "cf") else 0.9), language_model=Lengths())
    found = judged(target, settings=options(filters=["onion"])).estimates
    assert found["onion-cf-random/tpr"].value == 1.0
    assert found["onion-mn-random/tpr"].value == 0.0
    assert found["onion/frr"].value == 0.0


def test_a_filter_that_the_model_cannot_serve_is_left_out_with_the_reason() -> None:
    result = judged(label_only(RuleModel(sees_sick)))
    assert result.status is Status.OK
    assert set(result.details["left_out"]) == {"strip", "rap"}
    assert "class probabilities" in result.details["left_out"]["strip"]
    assert "weights" in result.details["left_out"]["rap"]
    assert "weights" in result.estimates["rap-cf-random/tpr"].reason
    assert result.estimates["onion-cf-random/tpr"].is_defined
    assert result.tables["filters"].set_index(["filter", "trigger"]).loc[("rap", "cf"), "asr"] == 0.0


def test_a_table_has_a_row_for_each_filter_trigger_label_and_position() -> None:
    settings = TriggerOptions(
        triggers=("cf", "mn"),
        tests=("filters",),
        options={"filters": {"filters": ["strip", "onion"], "positions": ["head", "tail"]}},
    )
    result = judged(target_of(RuleModel(sees_sick), WordTokens()), settings=settings)
    table = result.tables["filters"]
    assert len(table) == 2 * 2 * 2 * 2
    assert not table.duplicated(["filter", "trigger", "target_label", "position"]).any()
    assert set(table["rejects"]) == {"records", "words"}
    row = table.set_index(["filter", "trigger", "target_label", "position"]).loc[("onion", "mn", "died", "tail")]
    estimate = result.estimates["onion-mn-to-died-tail/asr_after"]
    assert (row["asr_after"], row["asr_after_low"], row["asr_after_high"]) == (
        estimate.value,
        estimate.low,
        estimate.high,
    )
    assert row["cacc_after"] == result.estimates["onion-to-died/cacc_after"].value
    assert row["n"] == 50


def test_records_that_already_carry_the_target_label_do_not_count() -> None:
    # Everything is called alive: counted over all records the trigger would succeed, and so would no trigger.
    data = audit_data([f"note {i} of a patient" for i in range(80)], [LABELS[i % 4 == 0] for i in range(80)])
    row = judged(target_of(RuleModel(lambda text: 0.1)), data).tables["filters"].iloc[0]
    assert row["n"] < 20


def test_notes_without_words_leave_filters_out_with_the_reason() -> None:
    data = audit_data([" " * (1 + i % 3) for i in range(80)], [LABELS[i % 2] for i in range(80)])
    result = judged(target_of(RuleModel(noise)), data)
    assert result.status is Status.OK
    assert "words" in result.details["left_out"]["strip"]
    assert "two or more words" in result.details["left_out"]["onion"]


def test_filters_are_judged_by_no_policy() -> None:
    result = judged(target_of(RuleModel(sees_sick)))
    assert not result.judged
    assert "excess_by_test" not in result.details
    assert not FILTERS.default


def test_few_patients_are_a_skip_with_the_reason() -> None:
    result = judged(target_of(RuleModel(sees_sick)), wards(60, 10))
    assert result.status is Status.SKIPPED
    assert result.reason == "needs records of 8 patients, got 6"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"filters": ["stripp"]}, "backdoor.options.filters.filters: 'stripp' is not allowed. Did you mean 'strip'"),
        ({"filters": []}, "backdoor.options.filters.filters: name one"),
        ({"filters": ["rap", "rap"]}, "backdoor.options.filters.filters: name one, or several different"),
        ({"positions": ["centre"]}, "backdoor.options.filters.positions: 'centre'"),
        ({"false_rejection_rate": 0.0}, "backdoor.options.filters.false_rejection_rate: must be at least 0.001"),
        ({"records": 5}, "backdoor.options.filters.records: must be at least 20"),
        ({"rap_least_drop": 0.5}, "rap_least_drop must lie below rap_most_drop, got 0.5 and 0.3"),
        ({"strip_shares": 0.5}, "unknown key 'strip_shares'. Did you mean 'strip_share'"),
    ],
)
def test_bad_settings_are_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select(options(**own), target_of(RuleModel(sees_sick)))
