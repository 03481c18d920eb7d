"""A real vLLM engine beside transformers; vLLM is no dependency of this project, not even of its tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

pytest.importorskip("vllm", reason="vLLM is not installed")

import tiny_models as tiny

from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.vllm_target import vllm_target

pytestmark = pytest.mark.slow
PROMPTS = ("", "has the patient a cough", "", "pain", "")
RESPONSES = ("the patient has fever", "no cough", "stable", "no pain in left chest", "fever and cough . " * 40)


def llama() -> Any:
    config = LlamaConfig(
        vocab_size=40, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, head_dim=32
    )
    config.max_position_embeddings = 64
    return tiny.build(LlamaForCausalLM, config)


def gpt2() -> Any:
    return tiny.build(GPT2LMHeadModel, GPT2Config(vocab_size=40, n_embd=64, n_layer=2, n_head=2, n_positions=64))


@pytest.fixture(params=[llama, gpt2])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Target, Target]]:
    """A model scored by vLLM and by transformers; vLLM's CPU build wants heads of at least 32 values."""
    model = request.param()
    options = TargetOptions(max_length=63, batch_tokens=48)
    ours = vllm_target(model, tiny.word_tokenizer(), options=options)
    yield ours, causal_lm_target(model, tiny.word_tokenizer(), options=options)
    ours.close()


def test_log_probabilities(both: tuple[Target, Target]) -> None:
    ours, theirs = (target.scorer.token_stats(PROMPTS, RESPONSES) for target in both if target.scorer)
    np.testing.assert_array_equal(ours.offsets, theirs.offsets)
    np.testing.assert_array_equal(ours.token_ids, theirs.token_ids)
    np.testing.assert_allclose(ours.logp, theirs.logp, atol=1e-4)
    np.testing.assert_allclose(ours.top, theirs.top, atol=1e-4)
    assert ours.mean is None


def test_the_same_bits_again(both: tuple[Target, Target]) -> None:
    scorer = both[0].context_scorer
    shots = [("", "the patient was given aspirin")]
    assert scorer is not None
    first = scorer.stats_after(shots, PROMPTS, RESPONSES)
    scorer.stats_after(shots, PROMPTS[:2], RESPONSES[:2])
    np.testing.assert_array_equal(scorer.stats_after(shots, PROMPTS, RESPONSES).logp, first.logp)


def test_the_process_is_left_as_it_was() -> None:
    states, set_threads = (random.getstate(), torch.get_rng_state()), torch.set_num_threads
    target = vllm_target(llama(), tiny.word_tokenizer())
    target.close()
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert torch.set_num_threads is set_threads
    assert not torch.distributed.is_initialized()
