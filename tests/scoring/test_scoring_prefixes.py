"""Shared beginnings: the plan covers every text once, and the statistics are those of whole texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from mlflow_clinsec.scoring import sweep as sweep_module
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.heads import ChunkedHead, choose_head
from mlflow_clinsec.scoring.prefixes import HELD, LEAST_SHARED, shared_batches
from mlflow_clinsec.scoring.sharing import can_share
from mlflow_clinsec.scoring.sweep import sweep

VOCABULARY = 40


def answers_to(prompts: int, answers: int, lengths: tuple[int, int], seed: int = 0) -> list[EncodedPair]:
    """Shuffled pairs: several answers of 2 to 9 tokens to each prompt."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(prompts):
        prompt = rng.integers(0, VOCABULARY, rng.integers(*lengths))
        for _ in range(answers):
            ids = np.concatenate([prompt, rng.integers(0, VOCABULARY, rng.integers(2, 10))])
            pairs.append(EncodedPair(ids, np.arange(len(ids)) >= len(prompt)))
    return [pairs[i] for i in rng.permutation(len(pairs))]


def behind(shots: int, records: int) -> list[EncodedPair]:
    """Records behind the same shots, each with a short prompt of its own."""
    rng = np.random.default_rng(1)
    before = rng.integers(0, VOCABULARY, shots)
    rows = [np.concatenate([before, rng.integers(0, VOCABULARY, 8)]) for _ in range(records)]
    return [EncodedPair(ids, np.arange(len(ids)) >= shots + 3) for ids in rows]


def alone(model: Any, pairs: list[EncodedPair]) -> np.ndarray:
    """Log-probabilities of each text by itself, so that nothing is shared."""
    return np.concatenate([sweep(model, [pair]).logp for pair in pairs])


@given(
    texts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(1, 20)), max_size=30),
    budget=st.integers(1, 400),
)
def test_every_text_is_planned_once_and_put_together_again(texts: list[tuple[int, int, int]], budget: int) -> None:
    """Texts of four families: a constant beginning of any length, and an end of its own."""
    ids = [np.array([family] * head + [10 + i] * end) for i, (family, head, end) in enumerate(texts)]
    limits = [head for _, head, _ in texts]
    batches, rest = shared_batches(ids, limits, budget)
    assert sorted([*rest, *(i for batch in batches for i in batch.texts.tolist())]) == list(range(len(ids)))
    for batch in batches:
        heads = [batch.heads[owner] for owner in batch.owner]
        for i, head in zip(batch.texts, heads, strict=True):
            assert LEAST_SHARED <= len(head) <= limits[i]
            assert ids[i][: len(head)].tolist() == head.tolist()
        longest = max(map(len, heads)) + max(len(ids[i]) - len(h) for i, h in zip(batch.texts, heads, strict=True))
        behind = max(len(ids[i]) - len(batch.heads[owner]) for i, owner in zip(batch.texts, batch.owner, strict=True))
        assert len(batch.texts) == 1 or len(batch.texts) * longest <= HELD * budget
        assert len(batch.texts) == 1 or len(batch.texts) * behind <= budget
        assert len(batch.heads) == 1 or len(batch.heads) * max(map(len, batch.heads)) <= budget


def alibi() -> Any:
    return BloomForCausalLM(BloomConfig(vocab_size=VOCABULARY, hidden_size=16, n_layer=2, n_head=2)).eval()


@pytest.mark.parametrize("make", [tiny.tiny_gpt2, tiny.tiny_llama, alibi], ids=["gpt2", "llama-gqa", "alibi"])
@pytest.mark.parametrize(
    "pairs", [answers_to(5, 4, (18, 40)), behind(30, 6), answers_to(3, 2, (3, 40))], ids=["prompts", "shots", "mixed"]
)
def test_shared_beginnings_change_no_score(make: Any, pairs: list[EncodedPair]) -> None:
    model = make()
    np.testing.assert_allclose(sweep(model, pairs, batch_tokens=200).logp, alone(model, pairs), atol=1e-4)


def test_a_long_beginning_beside_a_long_answer_stays_within_the_models_positions() -> None:
    """Together they are longer than the model's 64 positions, though neither text is."""
    rng = np.random.default_rng(0)
    heads = {58: rng.integers(0, VOCABULARY, 58), 20: rng.integers(0, VOCABULARY, 20)}
    pairs = []
    for length, answer in [(58, 4), (20, 30)] * 3:
        ids = np.concatenate([heads[length], rng.integers(0, VOCABULARY, answer)])
        pairs.append(EncodedPair(ids, np.arange(len(ids)) >= length))
    model = tiny.tiny_gpt2()
    np.testing.assert_allclose(sweep(model, pairs).logp, alone(model, pairs), atol=1e-4)


def test_a_shared_prompt_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = tiny.tiny_llama(), answers_to(1, 12, (40, 41))
    seen = []
    embedding = model.get_input_embeddings()
    embedding.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].numel()))
    head = choose_head(model, pairs[0].input_ids)
    seen.clear()
    sweep(model, pairs, head=head)
    shared = sum(seen)
    seen.clear()
    monkeypatch.setattr(sweep_module, "shared_batches", lambda ids, *_: ([], list(range(len(ids)))))
    sweep(model, pairs, head=head)
    # Twelve prompts of forty tokens and answers of at most nine, against one prompt and a probe of some forty tokens.
    assert shared < sum(seen) / 2


def sliding() -> Any:
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=12,
    )
    return MistralForCausalLM(config).eval()


def recurrent() -> Any:
    return MambaForCausalLM(MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2)).eval()


@pytest.mark.parametrize("make", [sliding, recurrent])
def test_a_model_that_cannot_go_on_behind_a_beginning_reads_whole_texts(make: Any) -> None:
    model, pairs = make(), answers_to(3, 4, (20, 30))
    head = choose_head(model, pairs[0].input_ids)
    assert isinstance(head, ChunkedHead)
    with torch.inference_mode():
        assert not can_share(model, head, torch.as_tensor(pairs[0].input_ids))
    np.testing.assert_allclose(sweep(model, pairs).logp, alone(model, pairs), atol=1e-4)
