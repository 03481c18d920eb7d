"""From ``privacy.reference`` to loaded reference models of the audited model's kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.huggingface import (
    TargetOptions,
    cached_labels,
    cached_scorer,
    causal_scorer,
    text_classifier,
)
from mlflow_clinsec.targets.masked_lm import CachedMaskedScorer, MaskedLM, VisitingMaskedScorer, masked_shelf
from mlflow_clinsec.targets.pickled import warn_first
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
from mlflow_clinsec.targets.vllm_target import VllmScorer, vllm_scorer

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
        return _with_scorers(target, where, options)
    if target.label_scorer is not None:
        return _with_classifiers(target, where, options, labels)
    if target.masked_scorer is not None:
        return _with_masked(target, where, options)
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
        warn_first(folder, key)
        pipeline = mlflow.transformers.load_model(str(folder))
    except (MlflowException, OSError, ValueError) as error:
        raise TargetError(
            f"{key}: {uri!r} cannot be loaded as a transformers model ({type(error).__name__})"
        ) from error
    if getattr(pipeline, "task", "") not in TASKS[kind] or pipeline.tokenizer is None:
        raise TargetError(f"{key}: {uri!r} is not a {TASKS[kind][0]} model with its tokeniser")
    return pipeline.model, pipeline.tokenizer


def _with_scorers(target: Target, where: Sequence[str], options: TargetOptions) -> Target:
    models: list[VisitingScorer | VllmScorer] = []
    known = []
    with ExitStack() as undo:  # engines that run already end where a later reference cannot be loaded
        for place in where:
            pair = load_pair(place, "causal language model")
            models.append(_reference_scorer(*pair, options))
            undo.callback(models[-1].close)
            known.append(options.identity(*pair))
        undo.pop_all()
    cached = tuple(cached_scorer(model, options, name) for model, name in zip(models, known, strict=True))
    return replace(
        target, references=cached, identity=joined(target, "reference", *known), close=closing(target, *models)
    )


def _reference_scorer(model: Any, tokenizer: Any, options: TargetOptions) -> VisitingScorer | VllmScorer:
    if options.backend == "vllm":
        return vllm_scorer(model, tokenizer, options)
    return VisitingScorer(model, options.device, causal_scorer(model, tokenizer, options))


def _with_classifiers(
    target: Target, where: Sequence[str], options: TargetOptions, labels: Sequence[str] | None
) -> Target:
    assert target.labels is not None
    pairs = [load_pair(place, "text classifier") for place in where]
    inner = [text_classifier(*pair, options, labels) for pair in pairs]
    models = [
        VisitingLabels(pair[0], options.device, scorer, target.labels, place)
        for pair, scorer, place in zip(pairs, inner, where, strict=True)
    ]
    known = [options.identity(*pair) for pair in pairs]
    cached = tuple(cached_labels(model, options, name) for model, name in zip(models, known, strict=True))
    return replace(
        target, label_references=cached, identity=joined(target, "reference", *known), close=closing(target, *models)
    )


def _with_masked(target: Target, where: Sequence[str], options: TargetOptions) -> Target:
    pairs = [load_pair(place, "masked language model") for place in where]
    models = [VisitingMaskedScorer(pair[0], options.device, MaskedLM(*pair, options)) for pair in pairs]
    known = [options.identity(*pair) for pair in pairs]
    cached = tuple(
        CachedMaskedScorer(model, masked_shelf(options, name)) for model, name in zip(models, known, strict=True)
    )
    return replace(
        target, masked_references=cached, identity=joined(target, "reference", *known), close=closing(target, *models)
    )


def joined(target: Target, role: str, *known: str) -> str:
    """What answers depend on once other models stand beside the target; "" where one of them is not known.

    Args:
        role: what they are for: the same model as a reference or as a helper makes other attacks possible.
    """
    parts = [target.identity, *known]
    return f" | {role} ".join(parts) if all(parts) else ""


def closing(target: Target, *loaded: Visitor[Any] | VllmScorer) -> Callable[[], None]:
    """What closes the target and the models loaded beside it."""

    def close() -> None:
        target.close()
        for model in loaded:
            model.close()

    return close
