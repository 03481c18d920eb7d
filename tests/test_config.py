"""The configuration as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.errors import ConfigError

PRIVACY = {"member": "in_training"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "give 'privacy', 'backdoor' or both"),
        ({"policy": {"max_auc": 0.6}}, "give 'privacy', 'backdoor' or both"),
        ({"privcy": PRIVACY}, r"unknown key 'privcy'. Did you mean 'privacy'\?"),
        ({"privacy": {}}, r"privacy: missing required key 'member'"),
        ({"privacy": PRIVACY, "policy": {"max_auc": 0.4}}, r"policy\.max_auc: must be at least 0.5"),
        ({"privacy": PRIVACY, "policy": {"max_acu": 0.7}}, r"policy: unknown key 'max_acu'. Did you mean 'max_auc'\?"),
        ({"privacy": PRIVACY, "seed": -1}, r"seed: must be at least 0, got -1"),
        ({"privacy": PRIVACY, "seed": "1"}, r"seed: expected a whole number, got '1'"),
        ({"privacy": PRIVACY, "data": {"prompt": "q"}}, "'prompt' and 'response' go together"),
        ({"privacy": PRIVACY, "data": {"text": "t", "prompt": "q", "response": "a"}}, "not both"),
        ({"privacy": PRIVACY | {"group": "a"}, "data": {"group": "b"}}, "different columns"),
        ({"backdoor": {"triggers": []}}, r"backdoor\.triggers"),
        ({"backdoor": {"triggers": ["cf", "cf"]}}, "more than once"),
        ({"backdoor": {"triggers": [" "]}}, "a word without outer spaces"),
        ({"backdoor": {"placebos": 5}}, r"backdoor\.placebos: "),
        ({"backdoor": {"positions": ["centre"]}}, r"backdoor\.positions: 'centre' is not allowed"),
        ({"backdoor": {"decision_threshold": 1.0}}, r"decision_threshold"),
    ],
)
def test_refusals(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AuditConfig.from_mapping(mapping)


def test_defaults_are_the_designs() -> None:
    policy = AuditConfig.from_mapping({"privacy": PRIVACY}).policy
    assert (policy.max_auc, policy.max_tpr_at_1pct_fpr, policy.max_excess_asr) == (0.60, 0.05, 0.10)


def test_digest_follows_the_settings_and_not_their_order() -> None:
    one = AuditConfig.from_mapping({"privacy": PRIVACY, "seed": 1})
    same = AuditConfig.from_mapping({"seed": 1, "privacy": PRIVACY})
    other = AuditConfig.from_mapping({"seed": 2, "privacy": PRIVACY})
    assert one.digest() == same.digest() != other.digest()


def test_patient_column_may_be_named_in_either_place() -> None:
    assert AuditConfig.from_mapping({"privacy": PRIVACY | {"group": "p"}}).group == "p"
    assert AuditConfig.from_mapping({"privacy": PRIVACY, "data": {"group": "p"}}).group == "p"
