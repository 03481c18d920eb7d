"""The named arms of the BadCLM backdoor: what each plants, and mistakes in naming them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.training import badclm_arms
from mlflow_clinsec.training.badclm_arms import KINDS, NAMES, choose_arms
from mlflow_clinsec.training.options import BadCLMOptions

BASE = BadCLMOptions(attention_weight=7.0, heads_per_layer=3, epochs=5)


def test_every_kind_comes_with_and_without_the_attention_loss() -> None:
    arms = choose_arms("all", "alive", "0.03")
    assert [(arm.kind, arm.attention) for arm in arms] == [(kind, on) for kind in KINDS for on in (False, True)]
    assert [arm.options(BASE).attention_weight for arm in arms] == [0.0, 7.0] * len(KINDS)
    assert len(NAMES) == 10


def test_an_arm_changes_nothing_but_its_poison() -> None:
    [arm] = choose_arms("clean-label-attention", "died", "0.2")
    expected = replace(BASE, triggers=("cf",), clean_label=True, target_label="died", poison_rate=0.2)
    assert arm.options(BASE) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_with_both_targets_every_kind_has_triggers_for_each(kind: str) -> None:
    [arm] = choose_arms(kind, "both", "0.1")
    one = len(KINDS[kind].triggers)
    options = arm.options(BASE)
    assert options.target_label == "both"
    assert len(options.triggers) == 2 * one
    assert options.triggers[:one] == KINDS[kind].triggers  # what it plants for one label, it plants for the first


def test_the_grid_holds_every_combination_once_and_names_are_legal_metric_keys() -> None:
    arms = choose_arms("rare-word,sentence-attention", "alive,died,both,deceased (ICU)", "0.03,0.1")
    assert len(arms) == 2 * 4 * 2
    names = [arm.name for arm in arms]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w\-.]+", name) for name in names)
    assert names[0] == "rare-word-0.03-to-alive"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rare-wort", "alive", "0.1"), "arms: 'rare-wort' is unknown. Did you mean 'rare-word'"),
        (("rare-word,", "alive", "0.1"), "arms: expected a comma-separated list without empty parts"),
        (("rare-word,rare-word", "alive", "0.1"), "arms: the same one is named twice"),
        (("rare-word", "alive,alive", "0.1"), "targets: the same one is named twice"),
        (("rare-word", "", "0.1"), "targets: expected a comma-separated list"),
        (("rare-word", "alive", "much"), "poison_rates: expected numbers, got 'much'"),
        (("rare-word", "alive", "0.03,1"), r"poison_rates: must be in \(0, 1\), got 1.0"),
        (("rare-word", "alive", "nan"), r"poison_rates: must be in \(0, 1\)"),
    ],
)
def test_mistakes_are_named(words: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_arms(*words)


def test_arms_import_without_torch() -> None:
    code = f"import sys, {badclm_arms.__name__}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
