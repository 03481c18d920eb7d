"""Every judged attack bounds epsilon, where chance alone chose the members."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.blind import BLIND
from mlflow_clinsec.privacy.judge import judge
from mlflow_clinsec.privacy.loss import LOSS
from mlflow_clinsec.privacy.membership import MembershipOptions

UNKNOWN = MembershipOptions(bootstrap=200, permutations=999)
RANDOM = dataclasses.replace(UNKNOWN, split="random")
GROUP = np.repeat(np.arange(200), 2)
MEMBER = GROUP % 2 == 0
DATA = AuditData(("",) * 400, ("text",) * 400, GROUP, grouped=True, member=MEMBER)
SCORES = np.random.default_rng(3).normal(size=400) + 10.0 * MEMBER


def _judged(options: MembershipOptions) -> dict[str, float]:
    result = judge(LOSS.with_options(options), SCORES, DATA, np.random.default_rng(0))
    return {name: estimate.value for name, estimate in result.estimates.items()} | dict(result.values)


def test_epsilon_is_bounded_for_a_random_split_only() -> None:
    unknown = judge(LOSS.with_options(UNKNOWN), SCORES, DATA, np.random.default_rng(0)).estimates["epsilon_lower"]
    assert math.isnan(unknown.value)
    assert "privacy.split" in unknown.reason
    bound = judge(LOSS.with_options(RANDOM), SCORES, DATA, np.random.default_rng(0)).estimates["epsilon_lower"]
    assert bound.value > 2  # 75 judged patients a side, told apart without error
    assert bound.n == 150  # patients, not records


def test_delta_lowers_the_bound() -> None:
    assert _judged(dataclasses.replace(RANDOM, delta=0.3))["epsilon_lower"] < _judged(RANDOM)["epsilon_lower"]


def test_epsilon_moves_no_other_number() -> None:
    known, unknown = _judged(RANDOM), _judged(UNKNOWN)
    for name in known:
        assert name == "epsilon_lower" or known[name] == unknown[name] or math.isnan(known[name])


def test_a_baseline_has_no_epsilon() -> None:
    result = judge(BLIND.with_options(RANDOM), SCORES, DATA, np.random.default_rng(0))
    assert "epsilon_lower" not in result.estimates
