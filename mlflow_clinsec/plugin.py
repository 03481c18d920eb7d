"""``ClinSecEvaluator``: the MLflow evaluator contract, and nothing else.

MLflow imports this module in every process that calls ``mlflow.models.evaluate``, ours or not. It therefore imports
nothing heavy, and says that it can evaluate only when its own keys stand in the configuration.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any

from mlflow.models.evaluation import EvaluationResult, ModelEvaluator

logger = logging.getLogger(__name__)

NAME = "clinsec"
OWN_KEYS = frozenset({"privacy", "backdoor"})


def own_config(evaluator_config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Our part of the configuration: flat, or nested under "clinsec" as MLflow hands it over in some calls."""
    config = evaluator_config or {}
    nested = config.get(NAME)
    return nested if isinstance(nested, Mapping) else config


class ClinSecEvaluator(ModelEvaluator):
    """Privacy and integrity audits of clinical language models. Entry point ``clinsec``."""

    @classmethod
    def can_evaluate(
        cls,
        *,
        model_type: str | None = None,
        evaluator_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> bool:
        """Whether ``evaluator_config`` asks for an audit; any model type will do."""
        config = own_config(evaluator_config)
        if OWN_KEYS & config.keys():
            return True
        explain_refusal(config, named=bool(evaluator_config) and NAME in (evaluator_config or {}))
        return False

    def evaluate(
        self,
        *,
        model_type: str | None = None,
        dataset: Any,
        run_id: str,
        evaluator_config: Mapping[str, Any],
        model: Any = None,
        model_id: str | None = None,
        **kwargs: Any,
    ) -> EvaluationResult:
        """Run the audit and log it to the run.

        Raises:
            ConfigError, DataError, TargetError: see :mod:`mlflow_clinsec.errors`; raised before anything is logged.
        """
        from mlflow_clinsec.evaluation import evaluate_and_log

        return evaluate_and_log(
            config_mapping=own_config(evaluator_config),
            dataset=dataset,
            run_id=run_id,
            model=model,
            model_id=model_id,
        )


def explain_refusal(config: Mapping[str, Any], named: bool) -> None:
    """Say in the log why we stay out. Loud only where the user seems to have meant us."""
    meant = [key for key in config if difflib.get_close_matches(str(key), OWN_KEYS, n=1)]
    level = logging.WARNING if named or meant else logging.DEBUG
    hint = f" Did you mean {difflib.get_close_matches(str(meant[0]), OWN_KEYS, n=1)[0]!r}?" if meant else ""
    logger.log(
        level,
        "clinsec: not evaluating: evaluator_config has neither 'privacy' nor 'backdoor'.%s",
        hint,
    )
