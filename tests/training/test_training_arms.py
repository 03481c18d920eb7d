"""Training arms: what each changes, from the same start, and the words that choose them."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.training.arms import train_arm
from mlflow_clinsec.training.curate import copied_forward
from mlflow_clinsec.training.defence_plans import choose_arms, make_plan
from mlflow_clinsec.training.options import TrainingOptions
from mlflow_clinsec.training.pipeline import start_qa
from mlflow_clinsec.training.plans import ARMS, DefencePlan

pytest.importorskip("opacus")


@pytest.fixture(scope="module")
def plan() -> DefencePlan:
    made = make_plan("small", 2, {})
    options = TrainingOptions(epochs=1, max_length=96)
    small = replace(made.recipe.small, vocab_size=400, width=16, layers=1, heads=2, options=options)
    recipe = replace(made.recipe, small=small, options=replace(made.recipe.options, max_length=96))
    return replace(made, recipe=recipe, private=replace(made.private, max_length=96), lora_rank=2)


@pytest.fixture(scope="module")
def start(plan):
    made = start_qa(generate_corpus(24, seed=0).qa, plan.recipe, seed=0)
    train = copied_forward(made.parts["train"], 0.5, 1, np.random.default_rng(0))
    return replace(made, parts={**made.parts, "train": train})


@pytest.fixture(scope="module")
def trained(start, plan):
    return {arm.name: train_arm(arm, start, plan, seed=0) for arm in ARMS}


def test_parts_share_no_patient(start):
    patients = [set(part["patient_id"]) for part in start.parts.values()]
    assert len(patients) == 4
    assert sum(map(len, patients)) == len(set().union(*patients))


def test_the_base_is_left_as_it_was(start, plan, trained):
    fresh = start_qa(generate_corpus(24, seed=0).qa, plan.recipe, seed=0)
    for ours, theirs in zip(start.model.parameters(), fresh.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for name, arm in trained.items():
        moved = [not torch.equal(a, b) for a, b in zip(arm.model.parameters(), start.model.parameters(), strict=False)]
        assert any(moved) or "lora" in name


def test_rows_and_epochs_are_what_the_arm_says(start, trained):
    train = start.parts["train"]
    unique = len(train.drop_duplicates(["patient_id", "prompt", "response"]))
    rows = {name: arm.facts["training/rows"] for name, arm in trained.items()}
    assert rows["plain"] == rows["early-stopping"] == rows["lora"] == rows["dp"] == len(train)
    assert rows["deduplicated"] == unique < len(train)
    assert len(train) < rows["paraphrased"] <= 3 * len(train)
    assert (trained["plain"].options.epochs, trained["paraphrased"].options.epochs) == (2, 1)


def test_private_arms_say_what_they_guarantee(trained):
    for name in ("dp", "dp-lora"):
        facts = trained[name].facts
        assert 7.9 < facts["dp/epsilon"] <= 8.0
        assert 0 < facts["dp/delta"] < 0.1
        assert facts["dp/steps"] == len(trained[name].history.steps)
        assert facts["dp/noise_multiplier"] > 0
    assert not any("dp/" in key for key in trained["plain"].facts)


def test_adapters_are_all_that_lora_arms_train(trained):
    for name in ("lora", "dp-lora"):
        weights = [key for key, p in trained[name].model.named_parameters() if p.requires_grad]
        assert weights
        assert all("lora" in key for key in weights)


def test_early_stopping_watches_the_validation_patients(start, plan, trained):
    assert trained["early-stopping"].facts["early_stopping/epochs"] <= 2
    stopper = next(arm for arm in ARMS if arm.patience)
    diverging = replace(
        plan, recipe=replace(plan.recipe, options=replace(plan.recipe.options, epochs=8, learning_rate=0.3))
    )
    facts = train_arm(stopper, start, diverging, seed=0).facts
    assert facts["early_stopping/epochs"] == facts["early_stopping/best_epoch"] + 1 < 8


def test_rows_longer_than_the_model_are_cut_to_its_context(start, plan, trained):
    assert trained["plain"].options.max_length == 96
    wide = replace(plan, recipe=replace(plan.recipe, options=replace(plan.recipe.options, max_length=4096)))
    for name in ("plain", "early-stopping"):
        arm = next(arm for arm in ARMS if arm.name == name)
        assert train_arm(arm, start, wide, seed=0).options.max_length == 96


def test_an_arm_can_be_repeated(start, plan, trained):
    arm = next(arm for arm in ARMS if arm.name == "dp")
    again = train_arm(arm, start, plan, seed=0)
    for ours, theirs in zip(again.model.parameters(), trained["dp"].model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_arms_are_chosen_by_name_in_the_order_given():
    assert choose_arms("all") == ARMS
    assert [arm.name for arm in choose_arms("default")] == [
        "plain",
        "deduplicated",
        "paraphrased",
        "early-stopping",
        "dp",
    ]
    assert [arm.name for arm in choose_arms("dp, plain")] == ["dp", "plain"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("plane", "arms: 'plane' is unknown. Did you mean 'plain'"),
        ("", "arms: '' is unknown"),
        ("plain,plain", "the same arm is named twice"),
    ],
)
def test_arms_that_cannot_be_chosen(names, message):
    with pytest.raises(ConfigError, match=message):
        choose_arms(names)


def test_missing_extras_are_told_before_any_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    assert choose_arms("plain,deduplicated")
    with pytest.raises(ConfigError, match=r"pip install 'mlflow-clinsec\[dp\]'"):
        choose_arms("plain,dp")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"pip install 'mlflow-clinsec\[peft\]'"):
        choose_arms("lora")


def test_plans_take_what_differs(tmp_path):
    plan = make_plan("small", None, {"target_epsilon": 2.0, "unit": "record"})
    assert (plan.private.target_epsilon, plan.private.unit) == (2.0, "record")
    assert plan.private.epochs == plan.recipe.options.epochs
    (tmp_path / "config.json").touch()
    given = make_plan(str(tmp_path), 3, {})
    assert (given.recipe.base_model, given.recipe.options.epochs, given.private.epochs) == (str(tmp_path), 3, 3)
    assert "other" not in given.recipe.shares
    with pytest.raises(ConfigError, match="base_model: expected a local directory"):
        make_plan(str(tmp_path / "absent"), 3, {})
    with pytest.raises(ConfigError, match="epochs: must be at least 1, got 0"):
        make_plan("small", 0, {})
