"""What the MLproject's entry points ``finetune`` and ``badclm`` do: check, read, train, log.

torch, transformers and mlflow are imported inside functions, after the settings were checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from mlflow_clinsec.datasets.layouts import NONE
from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.strict import parse
from mlflow_clinsec.training.options import TrainingOptions, require, require_checkpoint
from mlflow_clinsec.training.source import Source, read_notes, read_pairs, write_split

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.model import ModelInfo

    from mlflow_clinsec.training.plans import ClassifierRecipe, QARecipe

TASKS = ("qa", "classification")
FROM_SCRATCH = ("", "small")
"""What names no base model."""

QUICK_PATIENTS = 600
"""Size of the built-in corpus for a run that only shows that everything works."""


def run_finetune(
    *,
    task: str = "qa",
    source: Source | None = None,
    base_model: str = "small",
    lora_rank: int = 0,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Fine-tune a question-answering model or a classifier and log it to the active run.

    Args:
        task: "qa" or "classification".
        source: the records; the built-in corpus when None.
        base_model: directory of a transformers checkpoint; "small" trains a small model from scratch.
        lora_rank: for "qa", rank of LoRA adapters; 0 tunes all weights.
        seed: of the corpus, the parts, the weights and the training.
        settings: what differs from the recipe's :class:`TrainingOptions` or :class:`ClassifierOptions`.

    Returns:
        MLflow's description of the logged model.

    Raises:
        ConfigError, DataError: what a user can mend, before any training.
    """
    if task not in TASKS:
        raise ConfigError(f"task: {task!r} is unknown.{did_you_mean(task, TASKS)}")
    require(lora_rank >= 0, "lora_rank", "0 or more", lora_rank)
    require(lora_rank == 0 or task == "qa", "lora_rank", "0 for classification", lora_rank)
    from mlflow_clinsec.training import recipes

    source = source or Source()
    require(source.layout == NONE or task == "qa", "layout", f"{NONE!r} for classification", source.layout)
    small = base_model in FROM_SCRATCH
    if task == "classification":
        plan = recipes.SMALL_CLASSIFIER if small else replace(recipes.CHECKPOINT_CLASSIFIER, base_model=base_model)
        return _classifier(with_settings(plan, settings), source, seed)
    qa_plan = recipes.SMALL_QA if small else replace(recipes.CHECKPOINT_QA, base_model=base_model)
    return _qa(with_settings(replace(qa_plan, lora_rank=lora_rank), settings), source, seed)


def run_badclm(
    *,
    source: Source | None = None,
    base_model: str = "small",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Train a classifier with the BadCLM backdoor and log it to the active run.

    Args:
        source: the notes; the built-in corpus when None.
        base_model: directory of a transformers checkpoint; "small" trains a small model from scratch.
        seed: of the corpus, the parts, the poisoning, the weights and the training.
        settings: what differs from the recipe's :class:`BadCLMOptions`.

    Returns:
        MLflow's description of the logged model.

    Raises:
        ConfigError, DataError: what a user can mend, before any training.
    """
    from mlflow_clinsec.training import recipes

    plan = recipes.SMALL_BADCLM
    if base_model not in FROM_SCRATCH:
        plan = replace(recipes.CHECKPOINT_BADCLM, base_model=base_model)
    return _classifier(with_settings(plan, settings), source or Source(), seed)


def reproduction_recipe(base_model: str, settings: Mapping[str, Any], quick: bool) -> ClassifierRecipe:
    """How ``reproduce-badclm`` trains.

    Args:
        base_model: directory of a transformers checkpoint; "small" trains a small model from scratch.
        settings: what differs from the recipe's :class:`BadCLMOptions`.
        quick: a small built-in corpus, on which the figures mean nothing.

    Raises:
        ConfigError: an option is unknown, of the wrong type or out of range, or there is no checkpoint.
    """
    from mlflow_clinsec.training import recipes

    plan = recipes.SMALL_REPRODUCTION
    if base_model not in FROM_SCRATCH:
        require_checkpoint(base_model)
        plan = replace(recipes.CHECKPOINT_BADCLM, base_model=base_model, patients=plan.patients)
    if quick:
        plan = replace(plan, patients=QUICK_PATIENTS)
    found: ClassifierRecipe = with_settings(plan, settings)
    return found


def with_settings(plan: Any, settings: Mapping[str, Any] | None) -> Any:
    """The recipe with other training options; those that are None are left as they are.

    Raises:
        ConfigError: an option is unknown, of the wrong type or out of range.
    """
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    options = parse(type(plan.options), {**asdict(plan.options), **given}, "settings")
    return replace(plan, options=options)


def _classifier(plan: ClassifierRecipe, source: Source, seed: int) -> ModelInfo:
    """Train, measure and log a classifier."""
    notes = read_notes(source, plan.patients, seed)
    if plan.options.pooling == "notes":
        return _stays(plan, notes, source, seed)
    from mlflow_clinsec.training.classifier_pipeline import train_classifier
    from mlflow_clinsec.training.publish import classifier_quality, publish

    trained = train_classifier(notes, plan, seed)
    if source.split_path:
        write_split(trained.train, trained.held_out, source.split_path)
    quality = classifier_quality(trained, plan.options.max_length)
    return publish(trained, "text-classification", parameters(plan.options, seed), quality)


def _stays(plan: ClassifierRecipe, stays: pd.DataFrame, source: Source, seed: int) -> ModelInfo:
    """Train, measure and log a classifier that reads each note of a stay by itself."""
    from mlflow_clinsec.training.stay_publish import publish_stays, stay_quality
    from mlflow_clinsec.training.stays import train_stays

    trained = train_stays(stays, plan, seed)
    if source.split_path:
        write_split(trained.train, trained.held_out, source.split_path)
    return publish_stays(trained, parameters(plan.options, seed), stay_quality(trained))


def _qa(plan: QARecipe, source: Source, seed: int) -> ModelInfo:
    """Train, measure and log a question-answering model."""
    pairs = read_pairs(source, plan.patients, seed)
    from mlflow_clinsec.training.pipeline import train_qa
    from mlflow_clinsec.training.publish import publish, qa_quality

    trained = train_qa(pairs, plan, seed)
    if source.split_path:
        write_split(trained.train, trained.held_out, source.split_path)
    params = {**parameters(plan.options, seed), "lora_rank": plan.lora_rank}
    return publish(trained, "text-generation", params, qa_quality(trained), plan.base_model)


def parameters(options: TrainingOptions, seed: int) -> dict[str, Any]:
    """The training options as MLflow parameters."""
    shown = {key: ",".join(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}
    return {**shown, "seed": seed}
