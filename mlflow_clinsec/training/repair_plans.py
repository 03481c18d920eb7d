"""Ways of repairing a suspected classifier, and plans of the ``repair`` command. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.strict import parse
from mlflow_clinsec.training.options import ClassifierOptions, require
from mlflow_clinsec.training.plans import Shares

Prune = Literal["none", "neurons", "heads", "embeddings"]


@dataclass(frozen=True, kw_only=True)
class RepairArm:
    """One way of repairing.

    Attributes:
        name: of the run and in the table.
        prune: what is pruned, or put back, before fine-tuning on clean records.
        attention_norm: whether fine-tuning also penalises the norm of the attention weights.
    """

    name: str
    prune: Prune = "none"
    attention_norm: bool = False


ARMS = (
    RepairArm(name="fine-tuned"),
    RepairArm(name="fine-pruned", prune="neurons"),
    RepairArm(name="attention-pruned", prune="heads", attention_norm=True),
    RepairArm(name="embeddings-reset", prune="embeddings"),
)


@dataclass(frozen=True, kw_only=True)
class RepairPlan:
    """How the arms of one comparison are carried out.

    Attributes:
        options: of the fine-tuning on clean records, the same for all arms.
        shares: of the patients: ``tune`` is learned from, ``validation`` says how much may be pruned, ``audit`` is kept
            for the audits before and after.
        most_drop: loss of balanced accuracy on the validation records at which pruning stops.
        attention_weight: weight of the attention norm, where an arm penalises it.

    Raises:
        ConfigError: a value is out of range.
    """

    options: ClassifierOptions
    shares: Shares
    most_drop: float = 0.04
    attention_weight: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.most_drop < 1, "most_drop", "in [0, 1)", self.most_drop)
        require(self.attention_weight >= 0, "attention_weight", "0 or more", self.attention_weight)


SHARES = {"tune": 0.4, "validation": 0.1, "audit": 0.5}

SMALL_REPAIR = RepairPlan(
    options=ClassifierOptions(epochs=5, learning_rate=3e-4, max_length=256, class_weights="balanced"), shares=SHARES
)
"""For the small demo model. At 1e-3, the rate of its own training, 400 clean notes cost 6 points of AUROC."""

CHECKPOINT_REPAIR = RepairPlan(
    options=ClassifierOptions(epochs=3, learning_rate=2e-5, max_length=512, class_weights="balanced"), shares=SHARES
)
"""Epochs and learning rate as in our fine-tuning of checkpoints."""


def choose_repairs(names: str) -> tuple[RepairArm, ...]:
    """The arms of a comma-separated list, in the order given; "all" or "default" for all.

    Raises:
        ConfigError: an unknown arm, or one named twice.
    """
    known = {arm.name: arm for arm in ARMS}
    wanted = list(known) if names in ("all", "default") else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"arms: {name!r} is unknown.{did_you_mean(name, known)}")
    if len(set(wanted)) != len(wanted):
        raise ConfigError("arms: the same arm is named twice")
    return tuple(known[name] for name in wanted)


def repair_plan(small: bool, settings: Mapping[str, Any]) -> RepairPlan:
    """The plan for the built-in model or a checkpoint, with what differs from its training options.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    plan = SMALL_REPAIR if small else CHECKPOINT_REPAIR
    return replace(plan, options=parse(ClassifierOptions, {**asdict(plan.options), **settings}, "settings"))
