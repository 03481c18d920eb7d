"""Recipes: all that decides how a model is trained, but its data and its seed. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mlflow_clinsec.training.options import ClassifierOptions, DPOptions, TrainingOptions

Options = TypeVar("Options", bound=TrainingOptions)

Shares = Mapping[str, float]
"""Share of the patients in each part; "other" is left out where a base model is given."""


@dataclass(frozen=True, kw_only=True)
class SmallModel(Generic[Options]):
    """A model from scratch: its size, and how it learns from the other patients before it meets the members.

    Attributes:
        word_scale: of an encoder; see :func:`~mlflow_clinsec.training.models.small_encoder`.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    dropout: float
    options: Options
    word_scale: float = 1.0


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


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of fine-tuning, as what it changes about the plain one.

    Attributes:
        name: of the run and in the table.
        deduplicate: take near duplicates out of the training rows.
        rewordings: accepted rewrites put in per row; as many fewer epochs keep the work, and so the number of times
            that a record is met in any wording, as it was.
        patience: stop after this many epochs without a better validation loss; 0 trains all epochs.
        least_gain: by how much it must be better, in nats.
        private: fine-tune by DP-SGD.
        lora: tune LoRA adapters instead of all weights.
    """

    name: str
    deduplicate: bool = False
    rewordings: int = 0
    patience: int = 0
    least_gain: float = 0.0
    private: bool = False
    lora: bool = False


@dataclass(frozen=True, kw_only=True)
class DefencePlan:
    """How the arms of one comparison are trained.

    Attributes:
        recipe: the base, the parts (with a part ``validation`` for early stopping) and plain fine-tuning.
        private: DP-SGD where an arm asks for it.
        lora_rank: rank of the adapters where an arm asks for them.
        lora_learning_rate: peak rate of adapters; they start from nothing and bear more than full weights do.
        copied_share, copies: share of the built-in corpus' training rows that stand that many more times; see
            :func:`~mlflow_clinsec.training.curate.copied_forward`. A user's table is left as it is.
    """

    recipe: QARecipe
    private: DPOptions
    lora_rank: int = 8
    lora_learning_rate: float = 5e-3
    copied_share: float = 0.0
    copies: int = 0


ARMS = (
    Arm(name="plain"),
    Arm(name="deduplicated", deduplicate=True),
    Arm(name="paraphrased", rewordings=2),
    Arm(name="early-stopping", patience=1, least_gain=0.02),
    Arm(name="lora", lora=True),
    Arm(name="dp", private=True),
    Arm(name="dp-lora", private=True, lora=True),
)
"""The defences that arXiv 2510.18674 names (and LoRA, which Llemr was tuned with), against plain fine-tuning."""
