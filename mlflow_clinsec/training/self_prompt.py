"""A reference model tuned on what the audited model itself writes.

Source: Fu 2024 (arXiv 2311.06062, section 4), the self-prompt reference of SPV-MIA: the target continues the first 16
tokens of texts of the same domain, and the base model is tuned on these continuations. The outcome shares the
target's domain and style, but has not seen its training records; an attacker without a sample of the training
distribution can build it.

Departure: where prompts are given, the target answers them and the base is tuned on the answers, as question-answering
models are. The texts must not be audited records; near copies of those are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.overlap import overlapping
from mlflow_clinsec.scoring.encode import encode_pairs
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.targets.causal_lm import CausalLMGenerator
from mlflow_clinsec.training.causal_lm import finetune_causal_lm
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.loop import TrainingHistory
from mlflow_clinsec.training.options import TrainingOptions, require
from mlflow_clinsec.training.seeding import seeded

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SelfPromptOptions(TrainingOptions):
    """Settings of a self-prompt reference.

    Attributes:
        prefix_tokens: tokens of each text that the target continues.
        new_tokens: tokens that it writes at most; fewer where the model's context ends before.
        top_k: each token is drawn among so many likeliest.
    """

    prefix_tokens: int = 16
    new_tokens: int = 112
    top_k: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("prefix_tokens", "new_tokens", "top_k"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))


@dataclass(frozen=True)
class WrittenText:
    """What the target wrote: n pairs, plain texts with empty prompts."""

    prompts: tuple[str, ...]
    responses: tuple[str, ...]


def continue_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], options: SelfPromptOptions
) -> WrittenText:
    """Each text's first tokens and what the model writes after them; texts that are no longer are left out.

    Raises:
        DataError: a text is empty, or none is longer than the prefix.
    """
    require_text(texts)
    rows = [pair.input_ids for pair in encode_pairs(tokenizer, [""] * len(texts), texts)]
    length = options.prefix_tokens + (tokenizer.bos_token_id is not None)
    prefixes = [row[:length] for row in rows if len(row) > length]
    if not prefixes:
        raise DataError(f"no text is longer than the {options.prefix_tokens} tokens that the model is to continue")
    written = _draw(model, tokenizer, prefixes, options)
    heads = tokenizer.batch_decode([row.tolist() for row in prefixes], skip_special_tokens=True)
    whole = tuple(head + tail for head, tail in zip(heads, written, strict=True))
    return WrittenText(("",) * len(whole), whole)


def answer_prompts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], options: SelfPromptOptions
) -> WrittenText:
    """Each prompt and the model's answer; prompts that it leaves unanswered are left out.

    Raises:
        DataError: a prompt is empty, or none was answered.
    """
    require_text(prompts, "prompt")
    generator = CausalLMGenerator(model, tokenizer, top_k=options.top_k)
    with seeded(options.seed):
        answers = generator.generate(prompts, options.new_tokens)
    kept = [(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True) if answer.strip()]
    if not kept:
        raise DataError("the model left every prompt unanswered")
    return WrittenText(*zip(*kept, strict=True))


def tune_reference(
    base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, written: WrittenText, options: SelfPromptOptions
) -> TrainingHistory:
    """Tune the base, in place, on what the target wrote."""
    logger.info("self-prompt reference: tuning on %d texts that the model wrote", len(written.responses))
    limit = min(options.max_length, context_length(base) or options.max_length)
    fitting = replace(options, max_length=limit)
    return finetune_causal_lm(base, tokenizer, written.prompts, written.responses, fitting)


def apart_from(texts: Sequence[str], audited: Sequence[str]) -> tuple[str, ...]:
    """The texts that are no copies or near copies of audited records.

    Raises:
        DataError: none is left.
    """
    ours = np.arange(len(texts) + len(audited)) < len(texts)
    copies = overlapping([*texts, *audited], ours)[: len(texts)]
    if copies.all():
        raise DataError(f"all {len(texts)} texts also stand, nearly word for word, among the audited records")
    return tuple(text for text, copy in zip(texts, copies, strict=True) if not copy)


def _draw(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[NDArray[np.int64]],
    options: SelfPromptOptions,
) -> tuple[str, ...]:
    """Continuations drawn under the seed; the process's random state is untouched."""
    generator = CausalLMGenerator(model, tokenizer, top_k=options.top_k)
    limit = context_length(model)
    room = max(1, limit - max(map(len, rows))) if limit else options.new_tokens
    with seeded(options.seed):
        return generator.continue_rows(rows, min(options.new_tokens, room))
