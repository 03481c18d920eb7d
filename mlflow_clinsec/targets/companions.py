"""Models that help an attack or a test: one that proposes words, one that rewords, one that says what reads well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_scorer, place
from mlflow_clinsec.targets.masked_lm import MaskedLM
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.reference import VisitingScorer
from mlflow_clinsec.targets.resolve_reference import closing, joined, load_pair, refuse_missing
from mlflow_clinsec.targets.rewriter import ModelRewriter

MASKED_KEY = "privacy.masked_model"
REWRITER_KEY = "privacy.paraphrase.transformers.model"
LANGUAGE_MODEL_KEY = "backdoor.language_model"


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


def with_language_model(target: Target, where: str | None, options: TargetOptions) -> Target:
    """The target with the causal language model that ``backdoor.language_model`` names, if any.

    Raises:
        TargetError: it is missing, of another kind, or needs code of its own.
    """
    if where is None:
        return target
    refuse_missing([where], LANGUAGE_MODEL_KEY)
    model, tokenizer = load_pair(where, "causal language model", LANGUAGE_MODEL_KEY)
    plain = TargetOptions(options.batch_tokens, device=options.device, store=options.store)  # its context is its own
    scorer = VisitingScorer(model, options.device, causal_scorer(model, tokenizer, plain))
    known = joined(target, "language model", plain.identity(model, tokenizer))
    return replace(target, language_model=scorer, identity=known, close=closing(target, scorer))


def _with_infiller(target: Target, where: str, options: TargetOptions) -> Target:
    model, tokenizer = load_pair(where, "masked language model", MASKED_KEY)
    try:
        infiller = MaskedLM(model, tokenizer, options)
    except TargetError as error:
        raise TargetError(f"{MASKED_KEY}: {error}") from error
    known = joined(target, "infiller", options.identity(model, tokenizer))
    return replace(target, infiller=infiller, identity=known, close=_both(target.close, place(model, options.device)))


def _with_rewriter(target: Target, where: str, options: TargetOptions) -> Target:
    model, tokenizer = load_pair(where, "text-writing model", REWRITER_KEY)
    rewriter = ModelRewriter(model, tokenizer)
    return replace(target, rewriter=rewriter, close=_both(target.close, place(model, options.device)))


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close
