"""Models that help an attack: the masked language model that proposes words, and the one that rewords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlflow_clinsec.config import PrivacyConfig
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.huggingface import TargetOptions, place
from mlflow_clinsec.targets.masked_lm import MaskedLM
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.resolve_reference import load_pair, refuse_missing
from mlflow_clinsec.targets.rewriter import ModelRewriter

MASKED_KEY = "privacy.masked_model"
REWRITER_KEY = "privacy.paraphrase.transformers.model"


def with_companions(target: Target, privacy: PrivacyConfig, options: TargetOptions) -> Target:
    """The target with the helpers that the configuration names.

    Raises:
        TargetError: one is missing, of another kind, or needs code of its own.
    """
    rewriter = privacy.paraphrase.transformers
    for key, where in ((MASKED_KEY, privacy.masked_model), (REWRITER_KEY, rewriter.model if rewriter else None)):
        if where is not None:
            refuse_missing([where], key)
    if privacy.masked_model is not None:
        target = _with_infiller(target, privacy.masked_model, options)
    if rewriter is not None:
        target = _with_rewriter(target, rewriter.model, options)
    return target


def _with_infiller(target: Target, where: str, options: TargetOptions) -> Target:
    model, tokenizer = load_pair(where, "masked language model", MASKED_KEY)
    try:
        infiller = MaskedLM(model, tokenizer, options)
    except TargetError as error:
        raise TargetError(f"{MASKED_KEY}: {error}") from error
    return replace(target, infiller=infiller, close=_both(target.close, place(model, options.device)))


def _with_rewriter(target: Target, where: str, options: TargetOptions) -> Target:
    model, tokenizer = load_pair(where, "text-writing model", REWRITER_KEY)
    rewriter = ModelRewriter(model, tokenizer)
    return replace(target, rewriter=rewriter, close=_both(target.close, place(model, options.device)))


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close
