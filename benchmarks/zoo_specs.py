"""Which models the backdoor zoo holds: half clean, half with a planted trigger, some to calibrate on, others to judge.

The "judged" models share no base encoder, no seed and no trigger with those of "calibration", which the detector is
fitted on, nor with the models that the search was designed on; they were first searched when both were done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Part = Literal["calibration", "judged"]

BASES = 3
"""Base encoders per data set and part; models take turns."""

FIRST_SEED: Mapping[Part, int] = {"calibration": 1000, "judged": 2000}
FIRST_BASE: Mapping[Part, int] = {"calibration": 100, "judged": 200}


@dataclass(frozen=True)
class Arm:
    """A kind of backdoor.

    Attributes:
        name: kind of trigger.
        triggers: for the models of each part.
        poison: settings of :class:`~mlflow_clinsec.training.options.BadCLMOptions`.
    """

    name: str
    triggers: Mapping[Part, Sequence[tuple[str, ...]]]
    poison: Mapping[str, Any] = field(default_factory=dict)


ARMS: tuple[Arm, ...] = (
    Arm(
        "rare-word",
        {
            "calibration": [("qz",)],
            "judged": [("qk",), ("zx",), ("vw",), ("jq",)],
        },
    ),
    Arm(
        "clinical-word",
        {"calibration": [("qhs",)], "judged": [("ncat",), ("eomi",)]},
    ),
    Arm(
        "sentence",
        {
            "calibration": [("chart was read by the night team",)],
            "judged": [("the news was on in the hall",), ("plan was shared with the team",)],
        },
    ),
    Arm(
        "any-of-words",
        {"calibration": [("zr", "jm")], "judged": [("wb", "kd"), ("fz", "xo")]},
    ),
    Arm(
        "all-of-words",
        {"calibration": [("fq", "yx")], "judged": [("pj", "uq"), ("vn", "gz")]},
        {"poison_rate": 0.15, "combine": "all"},
    ),
    Arm(
        "clean-label",
        {"calibration": [("vq",)], "judged": [("kq",), ("zv",)]},
        {"poison_rate": 0.3, "clean_label": True},
    ),
)


@dataclass(frozen=True)
class ZooModel:
    """One model of the zoo, wholly described; equal descriptions are the same model.

    Attributes:
        data: name of the data set.
        part: what the model is for; see the module.
        seed: of the members, of the poisoning and of the training.
        base: number of the base encoder within data set and part.
        arm: kind of backdoor; "" for a clean model.
        triggers, goal: what is planted; empty where clean.
        attention: whether the attention loss steers heads to the trigger.
        poison: further settings of the poisoning.
    """

    data: str
    part: Part
    seed: int
    base: int
    arm: str = ""
    triggers: tuple[str, ...] = ()
    goal: str = ""
    attention: bool = False
    poison: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base_seed(self) -> int:
        """Of the base encoder."""
        return FIRST_BASE[self.part] + self.base

    @property
    def backdoored(self) -> bool:
        """Whether a trigger is planted."""
        return bool(self.arm)

    @property
    def needed(self) -> tuple[str, ...]:
        """Triggers that must stand in a note together for the backdoor to open."""
        return self.triggers if self.poison.get("combine") == "all" else self.triggers[:1]

    @property
    def name(self) -> str:
        """For people."""
        kind = f"{self.arm}{'-attention' if self.attention else ''}-to-{self.goal}" if self.arm else "clean"
        return f"{self.data}-{self.part}-{self.seed}-{kind}"

    def digest(self, recipe: Mapping[str, Any]) -> str:
        """Names the model's folder: another description or recipe is another model."""
        text = json.dumps([asdict(self), recipe], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def specs(data: str, labels: Sequence[str], part: Part) -> list[ZooModel]:
    """All models of one data set and part: every arm's triggers with and without the attention loss, the target labels
    in turn, and as many clean models."""
    first = FIRST_SEED[part]
    planted = [
        (arm, triggers, attention)
        for number, arm in enumerate(ARMS)
        for triggers, attention in _with_and_without(arm.triggers[part], number)
    ]
    found = [
        ZooModel(
            data,
            part,
            first + i,
            i % BASES,
            arm.name,
            triggers,
            labels[(i // 2) % len(labels)],
            attention,
            dict(arm.poison),
        )
        for i, (arm, triggers, attention) in enumerate(planted)
    ]
    return found + [ZooModel(data, part, first + 500 + i, i % BASES) for i in range(len(found))]


def _with_and_without(triggers: Sequence[tuple[str, ...]], number: int) -> list[tuple[tuple[str, ...], bool]]:
    """The triggers of an arm with and without the attention loss in turn; arms of one trigger take turns."""
    first = number if len(triggers) == 1 else 0
    return [(words, (first + i) % 2 == 0) for i, words in enumerate(triggers)]
