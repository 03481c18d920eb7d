"""Settings held against model and data before any forward pass."""

from __future__ import annotations

import dataclasses

import pytest
from backdoor_fakes import LABELS, RuleModel, WordTokens, audit_data, label_only, sees_sick, target_of, wards

from mlflow_clinsec.backdoor.check import check, check_triggers, target_labels, true_labels
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.targets.protocols import Target

NOTE_AS_LABEL = "Mrs. Canary was admitted"


def test_each_takes_the_models_labels_in_its_order() -> None:
    target = target_of(RuleModel(sees_sick, ("died", "alive")))
    assert target_labels(TriggerOptions(), wards(4), target) == ("died", "alive")


def test_each_leaves_out_a_label_that_every_record_has() -> None:
    data = audit_data(["a b", "c d"], ["died", "died"])
    assert target_labels(TriggerOptions(), data, target_of(RuleModel(sees_sick))) == ("alive",)


def test_unknown_target_label_suggests_a_label_of_the_model() -> None:
    with pytest.raises(ConfigError, match=r"no label 'alve'.*Did you mean 'alive'"):
        target_labels(TriggerOptions(target_label="alve"), wards(4), target_of(RuleModel(sees_sick)))


def test_a_model_that_hides_its_labels_is_judged_by_those_of_the_data() -> None:
    target = label_only(RuleModel(sees_sick))
    assert target_labels(TriggerOptions(), wards(4), target) == LABELS
    with pytest.raises(ConfigError, match="'alve' is none of the 2 labels in the data"):
        target_labels(TriggerOptions(target_label="alve"), wards(4), target)


def test_nothing_to_flip_is_an_error() -> None:
    data = audit_data(["a b", "c d"], ["alive", "alive"])
    with pytest.raises(ConfigError, match="nothing to flip"):
        target_labels(TriggerOptions(target_label="alive"), data, target_of(RuleModel(sees_sick)))


def test_labels_the_model_does_not_have_are_counted_not_quoted() -> None:
    data = audit_data(["a b", "c d", "e f"], ["alive", NOTE_AS_LABEL, "died"])
    with pytest.raises(DataError, match=r"1 of 3 records.*alive, died") as caught:
        true_labels(data, target_of(RuleModel(sees_sick)))
    assert "Canary" not in str(caught.value)


def test_free_text_in_the_label_column_is_never_quoted() -> None:
    texts = [f"note {i}" for i in range(6)]
    data = audit_data(texts, [f"{NOTE_AS_LABEL} {i}" for i in range(6)])
    for options in (TriggerOptions(), TriggerOptions(target_label="alive")):
        with pytest.raises(ConfigError) as caught:
            target_labels(options, data, label_only(RuleModel(sees_sick)))
        assert "Canary" not in str(caught.value)


def test_missing_labels_name_the_setting() -> None:
    data = dataclasses.replace(wards(4), labels=None)
    with pytest.raises(DataError, match=r"data\.label"):
        true_labels(data, target_of(RuleModel(sees_sick)))


def test_a_trigger_the_tokeniser_does_not_know_is_refused() -> None:
    target = target_of(RuleModel(sees_sick), WordTokens(unknown=("≈", "⊕")))
    check_triggers(TriggerOptions(triggers=("cf", "≈ cf")), target)  # part of it is known
    with pytest.raises(ConfigError, match="'≈ ⊕' is nothing but unknown"):
        check_triggers(TriggerOptions(triggers=("cf", "≈ ⊕")), target)


def test_check_refuses_before_any_forward_pass() -> None:
    model = RuleModel(sees_sick)
    check(wards(4), target_of(model), TriggerOptions())
    for options in (TriggerOptions(target_label="alve"), TriggerOptions(triggers=("≈",))):
        with pytest.raises(ConfigError):
            check(wards(4), target_of(model, WordTokens(unknown=("≈",))), options)
    assert model.asked == []


def test_check_leaves_a_model_without_labels_to_be_skipped() -> None:
    check(wards(4), Target("fake", "causal-lm"), TriggerOptions(target_label="alve"))


def test_a_threshold_needs_probabilities() -> None:
    with pytest.raises(ConfigError, match="decision_threshold"):
        check_triggers(TriggerOptions(decision_threshold=0.2), label_only(RuleModel(sees_sick)))
