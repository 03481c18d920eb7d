"""From a trained model to its MLflow run: model, parameters, loss curves, quality on held-out patients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models.model import ModelInfo
from sklearn.metrics import accuracy_score, roc_auc_score

from mlflow_clinsec.targets.causal_lm import CausalLMScorer
from mlflow_clinsec.targets.classifier import TextClassifier
from mlflow_clinsec.targets.protocols import FloatArray
from mlflow_clinsec.training.log import Task, log_history, log_trained_model
from mlflow_clinsec.training.loop import TrainingHistory
from mlflow_clinsec.training.pipeline import TrainedModel

logger = logging.getLogger(__name__)


@contextmanager
def active_run() -> Iterator[str]:
    """Id of the active run; one is started, or resumed for an MLproject, when there is none."""
    if (run := mlflow.active_run()) is not None:
        yield run.info.run_id
        return
    with mlflow.start_run() as run:
        yield run.info.run_id


def publish(
    trained: TrainedModel,
    task: Task,
    params: Mapping[str, Any],
    held_out: Mapping[str, float],
    base_model_path: str = "",
    name: str = "model",
) -> ModelInfo:
    """Log a trained model to the active run.

    Args:
        params: settings of the training; shown with the run and with the model.
        held_out: quality on held-out patients by name, logged as ``held_out/<name>``.
        base_model_path: checkpoint under LoRA adapters.
        name: of the LoggedModel.
    """

    def log() -> ModelInfo:
        return log_trained_model(
            trained.model, trained.tokenizer, task=task, name=name, base_model_path=base_model_path, params=params
        )

    counts = {"n_train": len(trained.train), "n_held_out": len(trained.held_out)}
    return publish_with(log, trained.history, {**params, **counts}, held_out)


def publish_with(
    log: Callable[[], ModelInfo], history: TrainingHistory, params: Mapping[str, Any], held_out: Mapping[str, float]
) -> ModelInfo:
    """Log a model of any kind to the active run, as ``log`` does, with parameters, loss curves and quality."""
    with active_run() as run_id:
        mlflow.log_params(dict(params))
        info = log()
        log_history(history, run_id, info.model_id)
        mlflow.log_metrics({f"held_out/{name}": value for name, value in held_out.items()}, model_id=info.model_id)
    logger.info("logged %s; held out: %s", info.model_uri, held_out)
    return info


def classifier_quality(trained: TrainedModel, max_length: int) -> dict[str, float]:
    """AUROC (one against the rest, averaged, for more than two labels) and accuracy on the held-out notes."""
    classifier = TextClassifier(trained.model, trained.tokenizer, max_length=max_length)
    return quality_of(classifier.predict_proba(trained.held_out["text"].tolist()), classifier.labels, trained.held_out)


def quality_of(probabilities: FloatArray, labels: Sequence[str], held_out: pd.DataFrame) -> dict[str, float]:
    """See :func:`classifier_quality`.

    Args:
        probabilities: shape (n, labels), columns in the order of ``labels``.
        held_out: n rows with a column ``label``.
    """
    truth = pd.Categorical(held_out["label"], categories=list(labels)).codes
    quality = {"accuracy": float(accuracy_score(truth, probabilities.argmax(axis=1)))}
    if len(np.unique(truth)) == len(labels):
        scores = probabilities[:, 1] if len(labels) == 2 else probabilities
        quality["auroc"] = float(roc_auc_score(truth, scores, multi_class="ovr"))
    return quality


def qa_quality(trained: TrainedModel) -> dict[str, float]:
    """Mean NLL of the held-out answers, in nats per token."""
    scorer = CausalLMScorer(trained.model, trained.tokenizer)
    pairs = trained.held_out
    return {"nll": float(np.mean(scorer.token_stats(pairs["prompt"].tolist(), pairs["response"].tolist()).nll()))}
