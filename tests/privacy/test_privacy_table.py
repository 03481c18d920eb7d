"""What every membership attack promises, whatever it does inside."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any, get_args

import numpy as np
import pytest
from leaky_model import CANARY, leaky_records, leaky_target
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import Access, Attack, run_attack
from mlflow_clinsec.config import PrivacyConfig
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.privacy.table import ATTACKS, KINDS, select
from mlflow_clinsec.results import AttackResult, Family, Status
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.roles import ROLE_NAMES

LEGAL_METRIC = re.compile(r"[A-Za-z0-9_. :-]+(/[A-Za-z0-9_. :-]+)?")
DATA = leaky_records()
TARGET = leaky_target(DATA)
SCORED = tuple(attack for kind in KINDS for attack in kind.attacks)


def quick(attack: Attack) -> Attack:
    """The attack with as few resamples and neighbours as will do here."""
    few = {"bootstrap": 200, "permutations": 999, "neighbours": 4}
    known = {field.name for field in dataclasses.fields(attack.options)}
    return attack.with_options(dataclasses.replace(attack.options, **{k: v for k, v in few.items() if k in known}))


def run(attack: Attack) -> AttackResult:
    return run_attack(quick(attack), DATA, TARGET, np.random.default_rng(0))


@functools.cache
def outcome(name: str) -> AttackResult:
    return run(next(attack for attack in SCORED if attack.name == name))


every_attack = pytest.mark.parametrize("attack", SCORED, ids=lambda attack: attack.name)


def test_names_are_unique_and_fit_for_metrics() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_descriptor_is_complete(attack: Attack) -> None:
    assert attack.family is Family.PRIVACY
    assert attack.access in get_args(Access)
    assert set(attack.requires) <= set(ROLE_NAMES)
    assert attack.title
    assert attack.formula
    assert re.search(r"arXiv \d{4}\.\d{5}", attack.source)


@every_attack
def test_larger_means_member(attack: Attack) -> None:
    # the leaky model leaks in every role: an attack whose scores point the wrong way falls below one half
    result = outcome(attack.name)
    assert result.status is Status.OK, result.reason
    assert result.scores is not None
    assert result.scores.shape == (len(DATA),)
    judged = ~np.isnan(result.scores)
    assert np.isfinite(result.scores[judged]).all()
    assert DATA.member is not None
    found = roc_auc_score(DATA.member[judged], result.scores[judged])
    assert found > 0.6
    assert result.estimates["auc"].value == pytest.approx(found)


@every_attack
def test_metric_names_are_legal_and_no_text_gets_out(attack: Attack) -> None:
    result = outcome(attack.name)
    assert all(LEGAL_METRIC.fullmatch(name) for name in (*result.estimates, *result.values))
    told = [repr(result), repr(result.details), *(table.to_csv() for table in result.tables.values())]
    assert not any(CANARY in part for part in told)


@every_attack
def test_the_same_seed_gives_the_same_result(attack: Attack) -> None:
    first, second = outcome(attack.name), run(attack)
    np.testing.assert_array_equal(first.scores, second.scores)
    assert repr(first.estimates) == repr(second.estimates)


@every_attack
def test_a_model_without_the_role_is_skipped_with_the_reason(attack: Attack) -> None:
    nothing = run_attack(quick(attack), DATA, Target("x", "function"), np.random.default_rng(0))
    assert nothing.status is Status.SKIPPED
    assert nothing.reason.startswith("needs ")


@every_attack
def test_records_without_membership_are_refused(attack: Attack) -> None:
    unknown = dataclasses.replace(DATA, member=None)
    result = run_attack(quick(attack), unknown, TARGET, np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "member" in result.reason


@every_attack
def test_unknown_options_are_refused_by_name(attack: Attack) -> None:
    config = PrivacyConfig(member="m", attacks=(attack.name,), options={attack.name: {"colour": "red"}})
    with pytest.raises(ConfigError, match=rf"privacy\.options\.{attack.name}.*colour"):
        select(config, TARGET)


@pytest.mark.parametrize("given", [{"attacks": ("los",)}, {"options": {"los": {}}}])
def test_unknown_attacks_are_refused_with_the_nearest_name(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'loss'"):
        select(PrivacyConfig(member="m", **given), TARGET)


def test_a_model_of_two_kinds_meets_the_attacks_of_both() -> None:
    chosen = {attack.name for attack in select(PrivacyConfig(member="m", attacks="all"), TARGET)}
    assert {attack.name for attack in SCORED} <= chosen
