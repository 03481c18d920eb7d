"""Causal language models whose token log-probabilities come from vLLM (``scoring.backend: vllm``).

vLLM shows the log-probability of each token and of the likeliest one, not the mean and the spread of the next-token
distribution: attacks that read those are reported as skipped. Answers and attention weights still come from the model
as MLflow loaded it, where it was loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mlflow_clinsec.scoring.encode import EncodedPair, Scope
from mlflow_clinsec.scoring.modes import input_device
from mlflow_clinsec.scoring.prompt_logprobs import score_prompts
from mlflow_clinsec.targets.huggingface import TargetOptions, cached_scorer, causal_lm_target
from mlflow_clinsec.targets.pair_scorer import PairScorer
from mlflow_clinsec.targets.protocols import Target, TokenStats
from mlflow_clinsec.targets.vllm_engine import VllmEngine


class VllmScorer(PairScorer):
    """A scorer over a vLLM engine; closing it frees the engine.

    Args:
        tokenizer: the model's tokeniser, which vLLM never sees.
        scope: score the response given the prompt, or everything; plain text is always scored whole.
    """

    def __init__(self, engine: VllmEngine, tokenizer: Any, scope: Scope) -> None:
        super().__init__(tokenizer, scope, engine.width)
        self._engine = engine

    def _stats(self, pairs: Sequence[EncodedPair]) -> TokenStats:
        return score_prompts(self._engine.ask, pairs, self._engine.width, "scoring (vLLM)")

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


def vllm_scorer(model: Any, tokenizer: Any, options: TargetOptions) -> VllmScorer:
    """Start an engine on a copy of the model.

    Raises:
        TargetError: vLLM cannot run this model as it stands, or here.
    """
    engine = VllmEngine(model, batch_tokens=options.batch_tokens, max_length=options.max_length)
    return VllmScorer(engine, tokenizer, options.scope)


def vllm_target(
    model: Any,
    tokenizer: Any,
    *,
    name: str = "",
    options: TargetOptions = TargetOptions(),  # noqa: B008 - frozen
) -> Target:
    """A causal language model as :func:`~mlflow_clinsec.targets.huggingface.causal_lm_target` makes it, scored by vLLM.

    Raises:
        TargetError: see there, or vLLM cannot run this model as it stands, or here.
    """
    # Scored nowhere but in vLLM, so that nothing of it is kept, and it need not move.
    unmoved = replace(options, store=None, device=str(input_device(model)))
    target = causal_lm_target(model, tokenizer, name=name, options=unmoved)
    known = options.identity(model, tokenizer)
    scorer = vllm_scorer(model, tokenizer, options)
    return replace(
        target,
        scorer=cached_scorer(scorer, options, known),
        context_scorer=scorer,
        identity=known,
        close=scorer.close,
    )
