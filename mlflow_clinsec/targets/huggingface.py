"""Transformers models and their tokenisers as targets: which roles which kind of model can play."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, GPU_BATCH_TOKENS
from mlflow_clinsec.scoring.cache import CachedLabelScorer, CachedScorer, TokenShelf
from mlflow_clinsec.scoring.encode import Scope
from mlflow_clinsec.scoring.limits import context_length, input_length
from mlflow_clinsec.scoring.precision import Precision, can_reduce
from mlflow_clinsec.store.shelf import Shelf
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.causal_lm import CausalLMGenerator, CausalLMScorer
from mlflow_clinsec.targets.classifier import AttentionHeads, MostProbableLabel, TextClassifier
from mlflow_clinsec.targets.digest import model_digest
from mlflow_clinsec.targets.identity import identity
from mlflow_clinsec.targets.prompt_tokens import PromptTokens
from mlflow_clinsec.targets.protocols import ClassifierWeights, LabelScorer, StorableScorer, Target
from mlflow_clinsec.targets.tokens import TokenizerView
from mlflow_clinsec.targets.untrusted import TIME_LIMIT_S
from mlflow_clinsec.targets.vllm_engine import version

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetOptions:
    """How a target is read.

    Attributes:
        batch_tokens: tokens per batch, padding included.
        max_length: tokens per window or text; the model's own limit when None.
        device: "auto" (CUDA where there is one, else where the model is) or a torch device.
        scope: score the answer given the prompt, or everything.
        text_column: column under which a function gets the texts; a plain list of strings when None.
        time_limit_s: seconds that one call of somebody else's code may take.
        store: where scores are kept between audits; None keeps them in memory.
        backend: what gives token log-probabilities of causal language models.
        precision: what passes compute in that give token statistics and class probabilities.
    """

    batch_tokens: int = BATCH_TOKENS
    max_length: int | None = None
    device: str = "auto"
    scope: Scope = "answer"
    text_column: str | None = None
    time_limit_s: float = TIME_LIMIT_S
    store: Store | None = None
    backend: Literal["transformers", "vllm"] = "transformers"
    precision: Precision = "auto"

    def identity(self, model: Any, tokenizer: Any) -> str:
        """What the model's answers under these options depend on, beside the text; "" where it cannot be told, and
        where nothing is kept. The shape of a batch moves 16-bit scores by more than float32 ones."""
        found = identity(model, tokenizer, self.device) if self.store is not None else ""
        engine = f" vllm {version()}" if self.backend == "vllm" else ""
        short = self.precision != "auto" or any(weight.dtype.itemsize == 2 for weight in model.parameters())
        rounding = f" {self.precision} {self.batch_tokens}" if short else ""
        return f"{found} {self.scope} {self.max_length}{engine}{rounding}" if found else ""

    def computing(self, model: Any) -> str:
        """What the model's passes compute in where that is not what it was loaded in, else ""."""
        return "" if self.precision == "auto" or not can_reduce(model) else self.precision

    def shelf(self, identity: str, *reading: str) -> Shelf | None:
        """Where the scores of such a model are kept, each way of reading it by itself."""
        return Shelf(self.store, identity, *reading) if self.store is not None and identity else None


def causal_lm_target(
    model: Any,
    tokenizer: Any,
    *,
    name: str = "",
    options: TargetOptions = TargetOptions(),
) -> Target:
    """A causal language model: token statistics, attention, generation; the base of a PEFT model as reference.

    Raises:
        TargetError: the model is an encoder-decoder, or has no tokeniser.
    """
    if tokenizer is None or getattr(model.config, "is_encoder_decoder", False):
        raise TargetError(f"{type(model).__name__}: needs a decoder-only language model with its tokeniser")
    give_back = place(model, options.device)
    adapted = hasattr(model, "peft_config") and hasattr(model, "disable_adapter")
    fast = bool(getattr(tokenizer, "is_fast", False))
    scorer = causal_scorer(model, tokenizer, options)
    known = options.identity(model, tokenizer)
    base = causal_scorer(model, tokenizer, options, adapter=False)
    return Target(
        name=name or type(model).__name__,
        kind="causal-lm",
        scorer=cached_scorer(scorer, options, known, "adapter" if adapted else ""),
        context_scorer=scorer,
        references=(cached_scorer(base, options, known, "base"),) if adapted else (),
        generator=CausalLMGenerator(model, tokenizer, batch_tokens=options.batch_tokens),
        attention=_attention(model, tokenizer, options, prompts=True) if fast else None,
        tokens=PromptTokens(tokenizer, context_length(model)) if fast else None,
        notes={"reference": "a reference model: name one under privacy.reference"} | _slow_notes(fast),
        digest=model_digest(model, tokenizer),
        identity=known,
        precision=options.computing(model),
        close=give_back,
    )


def cached_scorer(scorer: StorableScorer, options: TargetOptions, identity: str, adapter: str = "") -> CachedScorer:
    """A scorer whose scores are kept, on disk too where the model is known.

    Args:
        identity: see :meth:`TargetOptions.identity`.
        adapter: which of a PEFT model's two readings this is.
    """
    shelf = options.shelf(identity, "token statistics", adapter)
    return CachedScorer(scorer, TokenShelf(shelf, scorer.token_ids) if shelf else None)


def cached_labels(scorer: LabelScorer, options: TargetOptions, identity: str) -> CachedLabelScorer:
    """As :func:`cached_scorer`, for class probabilities."""
    return CachedLabelScorer(scorer, options.shelf(identity, "class probabilities", *scorer.labels))


def classifier_target(
    model: Any,
    tokenizer: Any,
    *,
    name: str = "",
    options: TargetOptions = TargetOptions(),
    labels: Sequence[str] | None = None,
) -> Target:
    """A text classifier: class probabilities, decisions, attention, tokens.

    ``labels`` name the classes of a model that calls them ``LABEL_0``, ``LABEL_1``, ...; a model that has names of
    its own keeps them.

    Raises:
        TargetError: the model is not a single-label classifier, or has no tokeniser.
    """
    inner = text_classifier(model, tokenizer, options, labels)
    give_back = place(model, options.device)
    known = options.identity(model, tokenizer)
    scorer = cached_labels(inner, options, known)
    fast = bool(getattr(tokenizer, "is_fast", False))
    limit = input_length(tokenizer, model, options.max_length)
    weights = ClassifierWeights(model, tokenizer, inner.labels, limit, options.batch_tokens)
    return Target(
        name=name or type(model).__name__,
        kind="text-classifier",
        label_scorer=scorer,
        predictor=MostProbableLabel(scorer),
        attention=_attention(model, tokenizer, options) if fast else None,
        tokens=TokenizerView(tokenizer, limit, inner.encoder) if fast else None,
        weights=weights if fast else None,
        notes={"label_reference": "a reference classifier: name one under privacy.reference"} | _slow_notes(fast),
        digest=model_digest(model, tokenizer),
        identity=known and " ".join([known, *inner.labels]),
        precision=options.computing(model),
        close=give_back,
    )


def text_classifier(
    model: Any, tokenizer: Any, options: TargetOptions, labels: Sequence[str] | None = None
) -> TextClassifier:
    """The label scorer of a text classifier under the given options; see :func:`classifier_target`."""
    if tokenizer is None:
        raise TargetError(f"{type(model).__name__}: the model came without a tokeniser")
    return TextClassifier(
        model,
        tokenizer,
        labels=_class_names(model, labels),
        max_length=options.max_length,
        batch_tokens=options.batch_tokens,
        precision=options.precision,
    )


def causal_scorer(model: Any, tokenizer: Any, options: TargetOptions, adapter: bool = True) -> CausalLMScorer:
    """The token scorer of a causal language model under the given options."""
    return CausalLMScorer(
        model,
        tokenizer,
        scope=options.scope,
        max_length=options.max_length,
        batch_tokens=options.batch_tokens,
        adapter=adapter,
        precision=options.precision,
    )


def usual_batch_tokens(device: str) -> int:
    """Tokens in a batch where the user names no number; ``device`` as in :class:`TargetOptions`."""
    on_gpu = torch.cuda.is_available() if device == "auto" else not device.startswith("cpu")
    return GPU_BATCH_TOKENS if on_gpu else BATCH_TOKENS


def place(model: Any, device: str) -> Callable[[], None]:
    """Move a model to where it is to run; the function returned takes it back.

    A model that is spread over devices or quantised stays where its loader put it.

    Raises:
        TargetError: there is no such device.
    """
    home = model.get_input_embeddings().weight.device
    fixed = getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False)
    wanted = ("cuda" if torch.cuda.is_available() else str(home)) if device == "auto" else device
    if fixed or str(home) == wanted:
        return lambda: None
    try:
        model.to(wanted)
    except (RuntimeError, AssertionError) as error:
        raise TargetError(f"scoring.device: cannot move the model to {wanted!r} ({type(error).__name__})") from error
    logger.info("clinsec: running on %s", wanted)
    return lambda: model.to(home)


def _attention(model: Any, tokenizer: Any, options: TargetOptions, prompts: bool = False) -> AttentionHeads:
    return AttentionHeads(
        model, tokenizer, max_length=options.max_length, batch_tokens=options.batch_tokens, prompts=prompts
    )


def _slow_notes(fast: bool) -> dict[str, str]:
    """Why a slow tokeniser leaves roles empty."""
    why = "the tokeniser gives no character offsets (it is not a fast one)"
    roles = {"attention": "attention weights", "tokens": "the model's tokeniser", "weights": "weights and gradients"}
    return {} if fast else {role: f"{what}: {why}" for role, what in roles.items()}


def _class_names(model: Any, labels: Sequence[str] | None) -> Sequence[str] | None:
    """The user's names, by position, for a model whose own are only numbers."""
    own = [str(name) for name in model.config.id2label.values()]
    generic = all(re.fullmatch(r"LABEL_\d+", name) for name in own)
    if not labels or not generic or len(labels) != len(own):
        return None
    logger.warning("clinsec: the model only numbers its classes; they are taken for the given labels in that order")
    return labels
