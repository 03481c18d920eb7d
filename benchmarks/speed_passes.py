"""One bare forward pass, ours and naive ones; and what sharing a prompt saves the paraphrase attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.membership_fixtures import Attacked, within_context
from benchmarks.random_models import SIZES, built
from benchmarks.sweep_cost import bare_forward, cpu_seconds
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, GPU_BATCH_TOKENS, pad_right
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.sweep import sweep
from mlflow_clinsec.targets.causal_lm import CausalLMScorer

NAIVE_BATCH = 16
VOCABULARY = SIZES["eight_layers_of_576"].vocabulary
SHARED = "mlflow_clinsec.scoring.sweep.shared_batches"


def nothing_shared(ids: Sequence[object], *_: object) -> tuple[list[object], list[int]]:
    """Stands in for the plan of shared beginnings: every text runs whole."""
    return [], list(range(len(ids)))


def median_ratio(first: Callable[[], object], second: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the first over those of the second, turn by turn, the median of the ratios."""
    return round(float(np.median([cpu_seconds(first) / cpu_seconds(second) for _ in range(repeats)])), 3)


def passes(attacked: Attacked, repeats: int) -> dict[str, float]:
    """Naive passes over the bare pass in length-bucketed batches."""
    pairs, model = within_context(attacked), attacked.model
    lengths = [len(pair) for pair in pairs]
    return {
        "texts": len(pairs),
        "tokens_median": float(np.median(lengths)),
        "tokens_longest": max(lengths),
        "one_at_a_time": median_ratio(lambda: one_at_a_time(model, pairs), lambda: bare_forward(model, pairs), repeats),
        "padded_to_the_longest": median_ratio(
            lambda: padded_to_longest(model, pairs), lambda: bare_forward(model, pairs), repeats
        ),
    }


def one_at_a_time(model: PreTrainedModel, pairs: Sequence[EncodedPair]) -> None:
    """The loop that many scripts have."""
    with torch.inference_mode():
        for pair in pairs:
            model(input_ids=torch.as_tensor(pair.input_ids)[None], use_cache=False)


def padded_to_longest(model: PreTrainedModel, pairs: Sequence[EncodedPair]) -> None:
    """Batches in the order of the records, each row as long as the longest record of all."""
    longest = max(len(pair) for pair in pairs)
    with torch.inference_mode():
        for start in range(0, len(pairs), NAIVE_BATCH):
            rows = [pair.input_ids for pair in pairs[start : start + NAIVE_BATCH]]
            filled = pad_right([*rows, np.zeros(longest, dtype=np.int64)], 0)[:-1]
            lengths = torch.as_tensor([len(row) for row in rows])
            mask = (torch.arange(longest) < lengths[:, None]).long()
            model(input_ids=torch.as_tensor(filled), attention_mask=mask, use_cache=False)


def paraphrases(attacked: Attacked, count: int, repeats: int) -> dict[str, float]:
    """Scoring ``count`` paraphrases of each answer whole, over the same with prompts that run once."""
    options = ParaphraseOptions(count=count, rewrite="response")
    found = paraphrase_records(attacked.data, options, np.random.default_rng(0))
    scorer = CausalLMScorer(attacked.model, attacked.tokenizer)
    prompts, responses = tuple(found.prompts), tuple(found.responses)

    def shared() -> None:
        scorer.token_stats(prompts, responses)

    def whole() -> None:
        with mock.patch(SHARED, nothing_shared):
            scorer.token_stats(prompts, responses)

    return {
        "records": len(attacked.data),
        "paraphrases": len(responses),
        "distinct": len(set(zip(prompts, responses, strict=True))),
        "whole_over_shared": median_ratio(whole, shared, repeats),
    }


def long_prompts(repeats: int) -> dict[str, float]:
    """The same for prompts of 250 to 300 made-up tokens, each with six answers of 30 to 60."""
    model, rng = made_up_model(), np.random.default_rng(0)
    pairs = []
    for _ in range(12):
        prompt = rng.integers(0, VOCABULARY, rng.integers(250, 300))
        for _ in range(6):
            ids = np.concatenate([prompt, rng.integers(0, VOCABULARY, rng.integers(30, 60))])
            pairs.append(EncodedPair(ids, np.arange(len(ids)) >= len(prompt)))

    def whole() -> None:
        with mock.patch(SHARED, nothing_shared):
            sweep(model, pairs)

    return {"texts": len(pairs), "whole_over_shared": median_ratio(whole, lambda: sweep(model, pairs), repeats)}


def batch_sizes(attacked: Attacked, repeats: int) -> dict[str, float]:
    """The bare pass in batches of so many tokens, over that in batches of the default; of two models."""
    texts = within_context(attacked)
    rng, model = np.random.default_rng(0), made_up_model()
    made_up = [EncodedPair(rng.integers(0, VOCABULARY, n), np.arange(n) > 0) for n in rng.integers(120, 384, 12)]
    cases = {"trained": (attacked.model, texts), "made_up": (model, made_up)}
    return {
        f"{name}_{tokens}": median_ratio(
            partial(bare_forward, one, pairs, tokens), partial(bare_forward, one, pairs, BATCH_TOKENS), repeats
        )
        for name, (one, pairs) in cases.items()
        for tokens in (256, 512, 2048, GPU_BATCH_TOKENS)
    }


def made_up_model(seed: int = 0) -> PreTrainedModel:
    """Eight layers, 576 wide, 32,000 pieces, random weights: wider than the trained ones."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return built(SIZES["eight_layers_of_576"])
