"""Recipes: all that decides how a model is trained, but its data and its seed. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mlflow_clinsec.training.options import ClassifierOptions, TrainingOptions

Options = TypeVar("Options", bound=TrainingOptions)

Shares = Mapping[str, float]
"""Share of the patients in each part; "other" is left out where a base model is given."""


@dataclass(frozen=True, kw_only=True)
class SmallModel(Generic[Options]):
    """A model from scratch: its size, and how it learns from the other patients before it meets the members."""

    vocab_size: int
    width: int
    layers: int
    heads: int
    dropout: float
    options: Options


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe:
    """How a classifier is trained.

    Attributes:
        options: plain fine-tuning, or BadCLM.
        shares: parts of the patients.
        small: the model from scratch; None when ``base_model`` is given.
        base_model: directory of a checkpoint; "" for a model from scratch.
        patients: size of the built-in corpus that the recipe was tuned on.
    """

    options: ClassifierOptions
    shares: Shares
    small: SmallModel[ClassifierOptions] | None = None
    base_model: str = ""
    patients: int = 0


@dataclass(frozen=True, kw_only=True)
class QARecipe:
    """How a question-answering language model is trained.

    Attributes:
        options: fine-tuning on the members' pairs.
        shares: parts of the patients.
        records_per_patient: pairs at most of one patient among members and non-members; 0 for all.
        small: the model from scratch; None when ``base_model`` is given.
        base_model: directory of a checkpoint; "" for a model from scratch.
        lora_rank: rank of LoRA adapters; 0 tunes all weights.
        patients: size of the built-in corpus that the recipe was tuned on.
    """

    options: TrainingOptions
    shares: Shares
    records_per_patient: int = 0
    small: SmallModel[TrainingOptions] | None = None
    base_model: str = ""
    lora_rank: int = 0
    patients: int = 0
