"""From what MLflow hands to an evaluator to the richest target that it allows.

The only target module with MLflow, beside :mod:`mlflow_clinsec.targets.resolve_reference`.

=================================================  ======================================================
MLflow hands over                                  what is made of it
=================================================  ======================================================
transformers flavour, text generation (PEFT too)   token statistics, attention, generation, PEFT reference
transformers flavour, text classification          class probabilities, attention, tokens
transformers flavour, fill-mask                    losses of masked words
PythonModel with ``token_logprobs`` and/or         what :mod:`mlflow_clinsec.targets.protocol_model` says
``predict_proba``
any other pyfunc, served model, function           probabilities if it returns them, else labels
None                                               precomputed columns
=================================================  ======================================================
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from mlflow.exceptions import MlflowException

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.cache import CachedScorer
from mlflow_clinsec.targets import vllm_engine
from mlflow_clinsec.targets.classifier import MostProbableLabel
from mlflow_clinsec.targets.functions import CallableLabelScorer, CallableModel, CallablePredictor
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target, classifier_target
from mlflow_clinsec.targets.masked_lm import masked_lm_target
from mlflow_clinsec.targets.protocol_model import TokenLogprobsScorer
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.read_ranges import RangeView
from mlflow_clinsec.targets.replay import precomputed_target
from mlflow_clinsec.targets.resolve_reference import refuse_missing, with_references
from mlflow_clinsec.targets.steady import changed_answers, changed_losses
from mlflow_clinsec.targets.untrusted import UntrustedCalls
from mlflow_clinsec.targets.vllm_target import vllm_target

logger = logging.getLogger(__name__)

PROBE_TEXTS = 8
"""Audited texts that a function is asked about to see what it returns."""


def resolve(
    model: Any,
    *,
    model_uri_or_name: str = "",
    data: AuditData,
    options: TargetOptions = TargetOptions(),  # noqa: B008 - frozen
    labels: Sequence[str] | None = None,
    references: Sequence[str] = (),
) -> Target:
    """The richest target that a model allows.

    Args:
        model: a PyFuncModel, a served model, MLflow's wrapper of a function, or None.
        model_uri_or_name: what reports call it.
        data: the records; a function is asked about the first of them, precomputed columns are read from them.
        options: how the model is run.
        labels: class names, for models that give probabilities without names.
        references: MLflow URIs or local folders of models of the same kind that have not seen the members.

    Raises:
        TargetError: the model cannot be read, or its answers cannot.
        DataError: precomputed columns do not fit together.
    """
    _refuse_endpoint(model)
    refuse_missing(references)
    if options.backend == "vllm":
        _refuse_vllm(model)
    with ExitStack() as undo:  # a model that is refused leaves no thread behind, nor itself on the device
        calls = UntrustedCalls(options.time_limit_s)
        undo.callback(calls.close)
        target = _audited(model, model_uri_or_name, data, options, labels, calls)
        undo.callback(target.close)
        logger.info("clinsec: %s is a %s target", target.name, target.kind)
        found = with_references(target, references, options, labels)
        undo.pop_all()
    return found


def _audited(
    model: Any, name: str, data: AuditData, options: TargetOptions, labels: Sequence[str] | None, calls: UntrustedCalls
) -> Target:
    """The audited model alone; ``calls`` are those to code of the user's own."""
    if model is None:
        return precomputed_target(data, name)
    pipeline, python_model = _raw_pipeline(model), _python_model(model)
    if pipeline is not None:
        return _pipeline_target(pipeline, name, options, labels)
    if any(hasattr(python_model, method) for method in ("token_logprobs", "predict_proba")):
        return _protocol_target(python_model, name, data, labels, calls)
    return _function_target(model, name, data, options, labels, calls)


def _refuse_endpoint(model: Any) -> None:
    """An ``endpoints:/`` model would carry patients' notes off this machine.

    Raises:
        TargetError: the model is one.
    """
    if type(getattr(model, "python_model", None)).__name__ == "ModelFromDeploymentEndpoint":
        raise TargetError(
            "endpoints:/ models are not audited: every record would leave this machine. Score the records where the "
            "endpoint runs and give the losses or probabilities as precomputed columns"
        )


def _refuse_vllm(model: Any) -> None:
    """vLLM scores causal language models of the transformers flavour, where it is installed.

    Raises:
        TargetError: this is another model, or it is not.
    """
    task = str(getattr(_raw_pipeline(model), "task", ""))
    if task != "text-generation":
        raise TargetError(
            f"{vllm_engine.KEY}: 'vllm' scores causal language models of the transformers flavour only; "
            f"this is {f'a pipeline for {task!r}' if task else 'another kind of model'}"
        )
    vllm_engine.refuse_absent()


def _raw_pipeline(model: Any) -> Any:
    """The transformers pipeline inside a transformers-flavour model, or None."""
    flavors = getattr(_metadata(model), "flavors", {})
    if "transformers" not in flavors or not hasattr(model, "get_raw_model"):
        return None
    try:
        raw = model.get_raw_model()
    except NotImplementedError:
        return None
    return raw if hasattr(raw, "model") and hasattr(raw, "tokenizer") else None


def _pipeline_target(pipeline: Any, name: str, options: TargetOptions, labels: Sequence[str] | None) -> Target:
    task = str(pipeline.task)
    if task == "text-generation":
        make = vllm_target if options.backend == "vllm" else causal_lm_target
        return make(pipeline.model, pipeline.tokenizer, name=name, options=options)
    if task in ("text-classification", "sentiment-analysis"):
        return classifier_target(pipeline.model, pipeline.tokenizer, name=name, options=options, labels=labels)
    if task == "fill-mask":
        return masked_lm_target(pipeline.model, pipeline.tokenizer, name=name, options=options)
    raise TargetError(
        f"transformers pipelines for {task!r} are not audited; text-generation, text-classification and fill-mask are"
    )


def _python_model(model: Any) -> Any:
    """The user's PythonModel inside a pyfunc or a function wrapper, or None."""
    if hasattr(model, "unwrap_python_model"):
        try:
            return model.unwrap_python_model()
        except MlflowException:  # every flavour but a PythonModel
            return None
    return getattr(model, "python_model", None)


def _protocol_target(
    model: Any, name: str, data: AuditData, labels: Sequence[str] | None, calls: UntrustedCalls
) -> Target:
    target = Target(name=name or type(model).__name__, kind="pyfunc", close=calls.close)
    if hasattr(model, "token_logprobs"):
        tokens = TokenLogprobsScorer(model, calls)
        changed = changed_losses(tokens, data)
        target = replace(target, scorer=CachedScorer(tokens), context_scorer=tokens, unsteady=changed)
    if hasattr(model, "predict_proba"):
        names = getattr(model, "labels", None) or labels
        asked = CallableModel(model.predict_proba, names, calls=calls)
        if not asked.probe(data.texts[:PROBE_TEXTS]):
            raise TargetError("predict_proba must return class probabilities; it returned labels")
        scorer = CallableLabelScorer(asked)
        changed = target.unsteady or changed_answers(asked, data.texts)
        target = replace(target, label_scorer=scorer, predictor=MostProbableLabel(scorer), unsteady=changed)
    if hasattr(model, "read_ranges") and getattr(getattr(model, "tokenizer", None), "is_fast", False):
        target = replace(target, tokens=RangeView(model.tokenizer, model.read_ranges))
    return target


def _function_target(
    model: Any, name: str, data: AuditData, options: TargetOptions, labels: Sequence[str] | None, calls: UntrustedCalls
) -> Target:
    kind = "function" if _metadata(model) is None else "pyfunc"
    asked = CallableModel(model.predict, labels, _signature_column(model) or options.text_column, calls)
    probabilities = asked.probe(data.texts[:PROBE_TEXTS])
    changed = changed_answers(asked, data.texts)
    target = Target(name=name or kind, kind=kind, unsteady=changed, close=calls.close)
    if probabilities:
        scorer = CallableLabelScorer(asked)
        return replace(target, label_scorer=scorer, predictor=MostProbableLabel(scorer))
    why = "class probabilities: the model returns labels only"
    if type(model).__name__ == "_ServedPyFuncModel":
        why += " (a served model shows its first output column; use env_manager='local')"
    return replace(target, predictor=CallablePredictor(asked), notes={"label_scorer": why})


def _metadata(model: Any) -> Any:
    """The MLflow model's metadata; None for a function."""
    return getattr(model, "metadata", None)


def _signature_column(model: Any) -> str | None:
    """The column that the model's signature asks for, when it asks for a single column of strings."""
    schema = getattr(getattr(_metadata(model), "signature", None), "inputs", None)
    if schema is None or schema.is_tensor_spec() or len(schema.inputs) != 1:
        return None
    [column] = schema.inputs
    kind = str(getattr(column.type, "name", column.type)).lower()
    return str(column.name) if column.name is not None and kind == "string" else None
