"""What every backdoor test promises, whatever it does inside."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from backdoor_fakes import RuleModel, WordTokens, noise, target_of, wards

from mlflow_clinsec.attack import Access, Attack, run_attack
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import ATTACKS, select
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.results import AttackResult, Family, Status
from mlflow_clinsec.targets.attention_protocols import AttentionSeen
from mlflow_clinsec.targets.fakes import FakeWriter, always_triggered
from mlflow_clinsec.targets.protocols import Span, Target
from mlflow_clinsec.targets.roles import ROLE_NAMES

ANSWERS = {
    "trigger_generation": {"target_text": "give aspirin"},
    "trigger_logprob": {"targets": ["give aspirin", "home"], "alternatives": ["rest now"]},
}
OPTIONS = TriggerOptions(triggers=("cf", "I saw it"), positions=("head", "random"), options=ANSWERS)
LEGAL_METRIC = re.compile(r"[A-Za-z0-9_. :-]+(/[A-Za-z0-9_. :-]+)?")


class Even:
    def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
        return AttentionSeen(*np.array([[np.full((2, 4), noise(text) / 10)] * 2 for text in texts]).swapaxes(0, 1))


def everything() -> Target:
    """A target that can play every role that a backdoor test may ask for."""
    writer = FakeWriter(lambda text: "give aspirin" if noise(text) < 0.2 else "rest now", (), "")
    return target_of(RuleModel(noise), WordTokens(), attention=Even(), generator=writer, scorer=writer)


def outcome(attack: Attack, target: Target, seed: int = 0) -> AttackResult:
    return run_attack(attack, wards(60, 2), target, np.random.default_rng(seed))


# The blind search needs a real model: tests/backdoor/search holds it to the same promises.
ALL_KINDS = Target("of no kind", "function")
CHOSEN = tuple(attack for attack in select(OPTIONS, ALL_KINDS) if attack.name != "trigger_search")
CHOSEN += select(replace(OPTIONS, tests=("filters",)), ALL_KINDS)
every_attack = pytest.mark.parametrize("attack", CHOSEN, ids=lambda attack: attack.name)


def test_names_are_unique_and_options_reach_every_test() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    for attack in CHOSEN:
        shared = getattr(attack.options, "shared", attack.options)
        assert (shared.triggers, shared.positions) == (OPTIONS.triggers, OPTIONS.positions)


@every_attack
def test_descriptor_is_complete(attack: Attack) -> None:
    assert attack.family is Family.BACKDOOR
    assert attack.access in get_args(Access)
    assert set(attack.requires) <= set(ROLE_NAMES)
    assert "arXiv" in attack.source
    assert attack.title


@every_attack
def test_metric_names_are_legal_and_values_are_numbers(attack: Attack) -> None:
    result = outcome(attack, everything())
    assert result.status is Status.OK
    assert result.estimates
    assert not set(result.estimates) & set(result.values)
    for name in [*result.estimates, *result.values]:
        assert LEGAL_METRIC.fullmatch(name)
        assert len(f"clinsec/backdoor/{attack.name}/{name}") <= 250
    for name, estimate in result.estimates.items():
        assert estimate.is_defined != bool(estimate.reason), name
        assert not estimate.is_defined or estimate.low <= estimate.value <= estimate.high
    assert all(isinstance(value, float) and not math.isinf(value) for value in result.values.values())


@every_attack
def test_same_seed_same_result_whatever_global_state_is(attack: Attack) -> None:
    first = outcome(attack, everything(), seed=4)
    np.random.seed(99)  # noqa: NPY002 - proves that global state does not matter
    again = outcome(attack, everything(), seed=4)
    assert first.estimates == again.estimates
    assert dict(first.values) == dict(again.values)


def test_the_shipped_triggered_model_is_found_by_every_test_of_triggers() -> None:
    data = wards(60, 2)
    target = always_triggered(data, ("cf",), "alive")
    options = TriggerOptions(
        triggers=("cf", "mn"), target_label="alive", tests=("trigger", "attention_focus", "clean_utility")
    )
    trigger, focus, utility = (run_attack(a, data, target, np.random.default_rng(0)) for a in select(options, target))
    for position in options.positions:
        assert trigger.estimates[f"cf-{position}/asr"].value == 1.0
        assert trigger.details["excess_by_test"][f"cf-{position}"]["low_corrected"] > 0.10  # the default policy fails
        assert trigger.estimates[f"mn-{position}/excess_asr"].value == 0.0
    assert focus.estimates["cf/max_excess_focus"].value == pytest.approx(0.85)
    assert focus.estimates["mn/max_excess_focus"].value == 0.0
    assert utility.estimates["cacc"].value == 1.0


@every_attack
def test_no_role_is_a_skip_with_the_reason(attack: Attack) -> None:
    result = outcome(attack, Target("bare", "causal-lm"))
    assert result.status is Status.SKIPPED
    assert "causal-lm" in result.reason
    assert not result.estimates


@every_attack
def test_no_text_of_a_record_leaves(attack: Attack) -> None:
    result = outcome(attack, everything())
    shown = f"{result!r} {dict(result.details)} {[table.to_csv() for table in result.tables.values()]}"
    for word in ("patient", "sick", "today", "stays"):
        assert word not in shown
    assert result.scores is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tests": ("triger",)}, r"backdoor.tests: unknown test 'triger'.*trigger"),
        ({"options": {"triger": {}}}, r"backdoor.options: unknown test 'triger'"),
        ({"options": {"trigger": {"level": 0.9}}}, r"backdoor.options.trigger: this test has no options"),
    ],
)
def test_unknown_tests_and_options_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select(TriggerOptions(**settings), everything())


def test_only_the_tests_asked_for_run() -> None:
    chosen = select(TriggerOptions(tests=("clean_utility",)), everything())
    assert [attack.name for attack in chosen] == ["clean_utility"]
