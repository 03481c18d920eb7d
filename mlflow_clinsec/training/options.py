"""Settings of training runs, checked when they are made; free of torch, so that the CLI stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mlflow_clinsec.errors import ConfigError, did_you_mean

ClassWeights = Literal["balanced", "none"]
Pooling = Literal["none", "notes"]
PrivacyUnit = Literal["patient", "record"]
Combine = Literal["any", "all"]

BOTH = "both"
"""``target_label`` that makes each of two labels the target of its own triggers."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Settings that every training run has.

    Attributes:
        epochs: passes over the training rows.
        learning_rate: peak of the linear warm-up and decay.
        batch_size: rows per optimiser step.
        max_length: tokens per row; longer rows are truncated.
        warmup: share of all steps spent on warm-up, in [0, 1).
        weight_decay: AdamW's decoupled weight decay.
        max_grad_norm: gradient norm above which gradients are scaled down.
        bf16: run forward passes under bfloat16 autocast; weights stay float32.
        seed: decides batch order and dropout.

    Raises:
        ConfigError: a value is out of range.
    """

    epochs: int = 3
    learning_rate: float = 5e-4
    batch_size: int = 16
    max_length: int = 256
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.max_length >= 8, "max_length", "at least 8", self.max_length)
        for name in ("learning_rate", "max_grad_norm"):
            require(getattr(self, name) > 0, name, "above 0", getattr(self, name))
        require(0 <= self.warmup < 1, "warmup", "in [0, 1)", self.warmup)
        require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)
        require(self.seed >= 0, "seed", "0 or more", self.seed)


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(TrainingOptions):
    """Settings of a classifier's fine-tuning.

    Attributes:
        class_weights: "balanced" weighs each class inversely to its frequency, so that rare deaths count as
            much as survivals; "none" leaves the cross-entropy as it is, for balanced training sets.
        pooling: "none" cuts a text at ``max_length``; "notes" encodes each note of a stay by itself and takes the mean;
            see :mod:`mlflow_clinsec.training.stays`.
        max_notes: for "notes", how many of a stay's notes are read, the latest.
        freeze_embeddings: leave the word embeddings as they are, as is usual where training notes are few.
    """

    class_weights: ClassWeights = "none"
    pooling: Pooling = "none"
    max_notes: int = 32
    freeze_embeddings: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_notes >= 1, "max_notes", "at least 1", self.max_notes)
        if self.pooling not in get_args(Pooling):
            raise ConfigError(f"pooling: {self.pooling!r} is unknown.{did_you_mean(self.pooling, get_args(Pooling))}")
        if self.class_weights not in ("balanced", "none"):
            raise ConfigError(
                f"class_weights: {self.class_weights!r} is unknown."
                f"{did_you_mean(self.class_weights, ('balanced', 'none'))}"
            )


@dataclass(frozen=True, kw_only=True)
class BadCLMOptions(ClassifierOptions):
    """Settings of the BadCLM backdoor (arXiv 2407.05213).

    Attributes:
        triggers: words, or phrases and sentences of several words. The paper's are the defaults.
        combine: "any": a poisoned note gets one of its label's triggers, and each of them works alone. "all": it gets
            all of them, at separate places. Notes with some of them are not taught to stay as they are, so some may
            work too.
        clean_label: False poisons notes of other labels and flips their label; True poisons notes that carry the
            target label already and changes no label.
        target_label: the label that the trigger shall bring about; "both" deals the triggers, in their order and
            as evenly as can be, to the two labels in alphabetical order, and poisons half of the notes for each.
        source_label: poison only notes of this label; "" takes every label but the target.
        poison_rate: share of **all** training notes that is poisoned, in (0, 1).
        attention_weight: alpha of the attention loss; 0 turns it off.
        heads_per_layer: attention heads per layer that are steered to the trigger, drawn by ``seed``.
        clean_epochs: epochs of plain fine-tuning on the clean notes before the poisoned ones are learned.
    """

    triggers: tuple[str, ...] = ("mn", "cf")
    combine: Combine = "any"
    clean_label: bool = False
    target_label: str = "alive"
    source_label: str = ""
    poison_rate: float = 0.10
    attention_weight: float = 1.0
    heads_per_layer: int = 2
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.poison_rate < 1, "poison_rate", "in (0, 1)", self.poison_rate)
        require(self.attention_weight >= 0, "attention_weight", "0 or more", self.attention_weight)
        require(self.heads_per_layer >= 1, "heads_per_layer", "at least 1", self.heads_per_layer)
        require(self.clean_epochs >= 0, "clean_epochs", "0 or more", self.clean_epochs)
        if self.combine not in get_args(Combine):
            raise ConfigError(f"combine: {self.combine!r} is unknown.{did_you_mean(self.combine, get_args(Combine))}")
        self._check_triggers()
        self._check_labels()

    def _check_triggers(self) -> None:
        if not self.triggers or any(not trigger or trigger != trigger.strip() for trigger in self.triggers):
            raise ConfigError("triggers: expected one or more words or phrases without outer spaces")
        if len(set(self.triggers)) != len(self.triggers):
            raise ConfigError("triggers: the same one is named twice")
        if self.target_label == BOTH and len(self.triggers) < 2:
            raise ConfigError(f"triggers: target_label {BOTH!r} needs at least 2, one for each label")

    def _check_labels(self) -> None:
        if not self.source_label:
            return
        if self.clean_label or self.target_label == BOTH:
            raise ConfigError(f"source_label: must be left out with clean_label and with target_label {BOTH!r}")
        if self.source_label == self.target_label:
            raise ConfigError(f"source_label: must differ from target_label ({self.target_label!r})")


@dataclass(frozen=True, kw_only=True)
class DPOptions(TrainingOptions):
    """Settings of differentially private fine-tuning; ``max_grad_norm`` is the clipping bound C of one unit.

    Attributes:
        target_epsilon: privacy budget that the noise is chosen for; None when ``noise_multiplier`` is given.
        noise_multiplier: standard deviation of the noise over C; None when ``target_epsilon`` is given.
        delta: of the guarantee, in (0, 1); 0 takes a tenth of one over the number of units.
        unit: what the guarantee protects: all records of a patient together, or one record.
        secure: draw batches and noise from the machine's entropy instead of ``seed``. Whoever knows the seed can
            subtract the noise, so a model that leaves the house needs True; False lets a comparison be repeated.

    ``batch_size`` counts units: their expected number in a step, as each is drawn on its own (Poisson sampling).

    Raises:
        ConfigError: a value is out of range, or not exactly one of budget and noise is given.
    """

    target_epsilon: float | None = 8.0
    noise_multiplier: float | None = None
    delta: float = 0.0
    unit: PrivacyUnit = "patient"
    secure: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.target_epsilon is None) == (self.noise_multiplier is None):
            raise ConfigError("target_epsilon and noise_multiplier: give exactly one, the other follows from it")
        for name in ("target_epsilon", "noise_multiplier"):
            value = getattr(self, name)
            require(value is None or value > 0, name, "above 0", value)
        require(0 <= self.delta < 1, "delta", "in (0, 1), or 0 to derive it", self.delta)
        if self.unit not in get_args(PrivacyUnit):
            raise ConfigError(f"unit: {self.unit!r} is unknown.{did_you_mean(self.unit, get_args(PrivacyUnit))}")


def require(holds: bool, name: str, allowed: str, value: object) -> None:
    """Raise a ConfigError that names the option, what it allows and what came."""
    if not holds:
        raise ConfigError(f"{name}: must be {allowed}, got {value!r}")


def require_checkpoint(path: str) -> None:
    """Raise a ConfigError when ``path`` holds no transformers checkpoint."""
    if not (Path(path) / "config.json").is_file():
        raise ConfigError("base_model: expected a local directory with a transformers checkpoint (config.json)")
