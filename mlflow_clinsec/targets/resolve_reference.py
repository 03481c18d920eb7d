"""From ``privacy.reference`` to loaded reference models of the audited model's kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.cache import CachedLabelScorer, CachedScorer
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_scorer, text_classifier
from mlflow_clinsec.targets.masked_lm import CachedMaskedScorer, MaskedLM, VisitingMaskedScorer
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.reference import (
    KEY,
    Kind,
    VisitingLabels,
    VisitingScorer,
    Visitor,
    load_checkpoint,
    refuse_own_code,
)

TASKS: dict[Kind, tuple[str, ...]] = {
    "causal language model": ("text-generation",),
    "text classifier": ("text-classification", "sentiment-analysis"),
    "masked language model": ("fill-mask",),
    "text-writing model": ("text-generation",),
}


def with_references(
    target: Target, where: Sequence[str], options: TargetOptions, labels: Sequence[str] | None = None
) -> Target:
    """The target with the reference models that the user named in place of any that it brought along.

    Args:
        where: MLflow URIs or local folders of models that have not seen the members.
        labels: class names for classifiers that only number their classes.

    Raises:
        TargetError: no such model, another kind of model than the target, a classifier with other labels, or one
            that needs code of its own.
    """
    if not where:
        return target
    if target.scorer is not None:
        scorers = [_scorer(place, options) for place in where]
        cached = tuple(CachedScorer(scorer) for scorer in scorers)
        return replace(target, references=cached, close=closing(target, *scorers))
    if target.label_scorer is not None:
        classifiers = [_classifier(place, target, options, labels) for place in where]
        known = tuple(CachedLabelScorer(classifier) for classifier in classifiers)
        return replace(target, label_references=known, close=closing(target, *classifiers))
    if target.masked_scorer is not None:
        masked = [_masked(place, options) for place in where]
        scored = tuple(CachedMaskedScorer(model) for model in masked)
        return replace(target, masked_references=scored, close=closing(target, *masked))
    raise TargetError(
        f"{KEY}: the audited model gives no probabilities of tokens, classes or masked words "
        "that a reference could be compared with"
    )


def refuse_missing(where: Sequence[str], key: str = KEY) -> None:
    """Look at every place before anything is loaded.

    Args:
        key: what messages call the setting.

    Raises:
        TargetError: one is neither an MLflow URI nor a folder.
    """
    for place in where:
        if ":/" not in place and not Path(place).is_dir():
            raise TargetError(f"{key}: {place!r} is neither an MLflow URI (models:/..., runs:/...) nor a local folder")


def load_pair(where: str, kind: Kind, key: str = KEY) -> tuple[Any, Any]:
    """Model and tokeniser from an MLflow URI or a local folder of a transformers checkpoint.

    Nothing is fetched from a model hub, and code that comes with a checkpoint is never run.

    Raises:
        TargetError: no such model, another kind of model, or one that needs code of its own.
    """
    folder = Path(where)
    if folder.is_dir() and not (folder / "MLmodel").is_file():
        return load_checkpoint(folder, kind, key)
    return _load_logged(where, kind, key)


def _load_logged(uri: str, kind: Kind, key: str) -> tuple[Any, Any]:
    try:
        folder = Path(download_artifacts(artifact_uri=uri))
        refuse_own_code(folder, key)
        pipeline = mlflow.transformers.load_model(str(folder))
    except (MlflowException, OSError, ValueError) as error:
        raise TargetError(
            f"{key}: {uri!r} cannot be loaded as a transformers model ({type(error).__name__})"
        ) from error
    if getattr(pipeline, "task", "") not in TASKS[kind] or pipeline.tokenizer is None:
        raise TargetError(f"{key}: {uri!r} is not a {TASKS[kind][0]} model with its tokeniser")
    return pipeline.model, pipeline.tokenizer


def _scorer(where: str, options: TargetOptions) -> VisitingScorer:
    model, tokenizer = load_pair(where, "causal language model")
    return VisitingScorer(model, options.device, causal_scorer(model, tokenizer, options))


def _classifier(where: str, target: Target, options: TargetOptions, labels: Sequence[str] | None) -> VisitingLabels:
    assert target.labels is not None
    model, tokenizer = load_pair(where, "text classifier")
    inner = text_classifier(model, tokenizer, options, labels)
    return VisitingLabels(model, options.device, inner, target.labels, where)


def _masked(where: str, options: TargetOptions) -> VisitingMaskedScorer:
    model, tokenizer = load_pair(where, "masked language model")
    return VisitingMaskedScorer(model, options.device, MaskedLM(model, tokenizer, options))


def closing(target: Target, *loaded: Visitor[Any]) -> Callable[[], None]:
    """What closes the target and the models loaded beside it."""

    def close() -> None:
        target.close()
        for model in loaded:
            model.close()

    return close
