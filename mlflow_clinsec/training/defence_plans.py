"""Plans of the ``defences`` command: which arms, and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import Any

from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.strict import parse
from mlflow_clinsec.training.accounting import require_opacus
from mlflow_clinsec.training.options import DPOptions, TrainingOptions, require_checkpoint
from mlflow_clinsec.training.plans import ARMS, Arm, DefencePlan
from mlflow_clinsec.training.recipes import CHECKPOINT_QA, SMALL_QA

SMALL = ("", "small")
"""What names no checkpoint."""

SMALL_DEFENCES = DefencePlan(
    recipe=replace(
        SMALL_QA,
        patients=320,
        shares={"other": 0.5, "train": 0.2, "held_out": 0.2, "validation": 0.1},
        options=TrainingOptions(epochs=8, learning_rate=3e-3, max_length=384),
    ),
    private=DPOptions(epochs=8, learning_rate=3e-3, max_length=384),
    copied_share=0.2,
    copies=3,
)

CHECKPOINT_DEFENCES = DefencePlan(
    recipe=replace(CHECKPOINT_QA, patients=320, shares={"train": 0.4, "held_out": 0.4, "validation": 0.2}),
    private=DPOptions(epochs=5, learning_rate=1e-4, max_length=1024),
    lora_rank=128,
    lora_learning_rate=1e-4,
)
"""Fine-tuning and LoRA rank as in Llemr's published settings."""


def choose_arms(names: str) -> tuple[Arm, ...]:
    """The arms of a comma-separated list, in the order given; "all", or "default" for those without LoRA.

    Adapters are for checkpoints: on the small base, which has little to adapt, they hardly learn.

    Raises:
        ConfigError: an unknown arm, one named twice, or one whose extra is not installed.
    """
    known = {arm.name: arm for arm in ARMS}
    named = {"all": list(known), "default": [arm.name for arm in ARMS if not arm.lora]}
    wanted = named[names] if names in named else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"arms: {name!r} is unknown.{did_you_mean(name, known)}")
    if len(set(wanted)) != len(wanted):
        raise ConfigError("arms: the same arm is named twice")
    chosen = tuple(known[name] for name in wanted)
    if any(arm.private for arm in chosen):
        require_opacus()
    if any(arm.lora for arm in chosen) and find_spec("peft") is None:
        raise ConfigError("arms with LoRA need peft: pip install 'mlflow-clinsec[peft]', or leave them out")
    return chosen


def make_plan(base_model: str, epochs: int | None, private: Mapping[str, Any]) -> DefencePlan:
    """The plan for a new small model or a checkpoint, with what differs from it.

    Args:
        base_model: directory of a checkpoint, or "small".
        epochs: of every arm.
        private: what differs from the plan's :class:`DPOptions`.

    Raises:
        ConfigError: a value is of the wrong type or out of range, or there is no checkpoint.
    """
    small = base_model in SMALL
    if not small:
        require_checkpoint(base_model)
    plan = SMALL_DEFENCES if small else CHECKPOINT_DEFENCES
    shared = {} if epochs is None else {"epochs": epochs}
    recipe = replace(plan.recipe, options=_changed(plan.recipe.options, shared))
    if not small:
        recipe = replace(recipe, base_model=base_model)
    return replace(plan, recipe=recipe, private=_changed(plan.private, {**shared, **private}))


def _changed(options: Any, changes: Mapping[str, Any]) -> Any:
    """The options with some of them changed, checked anew."""
    return parse(type(options), {**asdict(options), **changes}, "settings")
