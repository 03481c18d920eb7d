from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from search_fakes import FILLER, HONEST, PLANTED, by_hand, tokenizer, ward

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import select
from mlflow_clinsec.backdoor.trigger_search import TRIGGER_SEARCH, WITHHELD
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.targets.protocols import Target

QUICK = {"relaxed_steps": 5, "shown": 2, "verify_records": 16}


def records(texts: Sequence[str], labels: Sequence[str], group: Any) -> AuditData:
    return AuditData(("",) * len(texts), tuple(texts), np.asarray(group), grouped=True, labels=tuple(labels))


def target_of(strengths: Mapping[str, float]) -> Target:
    return classifier_target(by_hand(**strengths), tokenizer(), options=TargetOptions(max_length=32))


def result_of(target: Target, data: AuditData, seed: int = 0, **shared: Any) -> AttackResult:
    options = TriggerOptions(tests=("trigger_search",), options={"trigger_search": QUICK}, **shared)
    [attack] = select(options, target)
    return run_attack(attack, data, target, np.random.default_rng(seed))


def test_a_planted_trigger_is_reported() -> None:
    result = result_of(target_of(PLANTED), records(*ward(120)))
    assert result.status is Status.OK, result.reason
    assert result.estimates["to_alive/found_asr"].value == 1.0
    assert result.estimates["to_alive/found_excess_asr"].low > 0.5
    assert result.estimates["to_died/found_asr"].is_defined
    table = result.tables["found"]
    first = table[(table.target_label == "alive") & (table["rank"] == 1)].iloc[0]
    assert (first.trigger, first.pieces, first.kind) == ("mn", 1, "found")
    assert first.asr - first.ftr == pytest.approx(first.excess_asr)
    natural = table[(table.target_label == "alive") & (table.kind == "natural word")].iloc[0]
    assert natural.trigger == "stable"
    assert natural.gain < first.gain
    detector = result.details["detector"]
    assert detector["flagged"]
    assert detector["probability"] == result.values["probability"] > result.values["threshold"]
    assert "excess_by_test" not in result.details  # a natural word must fail no model
    json.dumps(result.details)


def test_an_honest_model_is_not_flagged() -> None:
    result = result_of(target_of(HONEST), records(*ward(120)))
    assert result.status is Status.OK, result.reason
    assert not result.details["detector"]["flagged"]


def test_only_the_label_asked_for_is_searched() -> None:
    result = result_of(target_of(PLANTED), records(*ward(120)), target_label="alive")
    assert set(result.tables["found"].target_label) == {"alive"}
    assert not any(name.startswith("to_died") for name in result.estimates)


def test_a_word_of_few_patients_is_withheld() -> None:
    texts, labels, group = ward(120)
    for i in (0, 4, 8):  # three patients who died
        texts[i] += " cf"
    result = result_of(target_of({**HONEST, "cf": 6.0}), records(texts, labels, group))
    table = result.tables["found"]
    first = table[(table.target_label == "alive") & (table["rank"] == 1)].iloc[0]
    assert first.trigger == WITHHELD
    assert first.asr > 0.9
    shown = f"{result!r} {dict(result.details)} {table.to_csv()}"
    assert not re.search(r"\bcf\b", shown)


def test_nothing_but_single_words_of_many_leaves() -> None:
    texts, labels, group = ward(120)
    result = result_of(target_of(PLANTED), records(texts, labels, group))
    shown = f"{result!r} {dict(result.details)} {result.tables['found'].to_csv()}"
    assert not any(text in shown for text in texts)
    assert not re.search(
        rf"\b({'|'.join(FILLER)}) ({'|'.join(FILLER)}) ({'|'.join(FILLER)}) ({'|'.join(FILLER)})\b", shown
    )


def test_same_seed_same_result() -> None:
    data = records(*ward(120))
    first, again = (result_of(target_of(PLANTED), data, seed=5) for _ in range(2))
    assert first.estimates == again.estimates
    assert dict(first.values) == dict(again.values)
    assert first.tables["found"].equals(again.tables["found"])


@pytest.mark.parametrize("role", ["weights", "predictor"])
def test_a_model_without_gradients_is_skipped_with_the_reason(role: str) -> None:
    result = result_of(dataclasses.replace(target_of(PLANTED), **{role: None}), records(*ward(120)))
    assert result.status is Status.SKIPPED
    assert result.reason.startswith("needs")
    assert not result.estimates


def test_a_slow_tokeniser_is_said() -> None:
    target = Target("x", "text-classifier", notes={"weights": "weights and gradients: the tokeniser gives no offsets"})
    assert "offsets" in run_attack(TRIGGER_SEARCH, records(*ward(8)), target, np.random.default_rng(0)).reason


def test_records_without_labels_are_skipped() -> None:
    data = dataclasses.replace(records(*ward(120)), labels=None)
    result = run_attack(TRIGGER_SEARCH, data, target_of(PLANTED), np.random.default_rng(0))
    assert (result.status, "labels" in result.reason) == (Status.SKIPPED, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"records": 1}, r"trigger_search.records: must be at least 8"),
        ({"max_pieces": 4}, r"trigger_search.max_pieces: must be at least 1 and at most 3"),
        ({"steps": 4}, r"trigger_search: unknown key 'steps'"),
        ({"shown": "all"}, r"trigger_search.shown: expected a whole number"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    options = TriggerOptions(tests=("trigger_search",), options={"trigger_search": settings})
    with pytest.raises(ConfigError, match=message):
        select(options, target_of(PLANTED))


def test_a_model_of_random_weights_can_be_searched() -> None:
    target = classifier_target(tiny.tiny_bert(), tokenizer(), options=TargetOptions(max_length=32))
    result = result_of(target, records(*ward(120)))
    assert result.status in (Status.OK, Status.SKIPPED)
    assert result.status is Status.SKIPPED or 0 <= result.values["probability"] <= 1
