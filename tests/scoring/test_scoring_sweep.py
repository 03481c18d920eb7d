from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.heads import ChunkedHead, LogitsHead, choose_head
from mlflow_clinsec.scoring.sweep import sweep
from mlflow_clinsec.targets.protocols import TokenStats

MODELS = {"gpt2": tiny.tiny_gpt2, "llama-gqa": tiny.tiny_llama}


def make_pairs(lengths: list[int], vocab: int = 40, seed: int = 0) -> list[EncodedPair]:
    """Random ids; the later half of each text is scored."""
    rng = np.random.default_rng(seed)
    pairs = []
    for n in lengths:
        places = np.arange(n)
        pairs.append(EncodedPair(rng.integers(0, vocab, n), (places >= n // 2) & (places > 0)))
    return pairs


def naive(model: Any, pair: EncodedPair) -> np.ndarray:
    """One text alone, a full softmax in float64: log-probability, mean, std and maximum per scored token."""
    with torch.no_grad():
        logits = model(input_ids=torch.as_tensor(pair.input_ids)[None]).logits[0].double()
    logs = torch.log_softmax(logits[-len(pair.input_ids) :], dim=-1)
    rows = []
    for place in np.flatnonzero(pair.scored):
        law = logs[place - 1]
        mean = (law.exp() * law).sum()
        spread = (law.exp() * (law - mean) ** 2).sum().sqrt()
        rows.append([float(law[pair.input_ids[place]]), float(mean), float(spread), float(law.max())])
    return np.array(rows).T


def assert_naive(stats: TokenStats, model: Any, pairs: list[EncodedPair], atol: float = 1e-4) -> None:
    assert stats.mean is not None
    assert stats.std is not None
    assert stats.top is not None
    expected = np.concatenate([naive(model, pair) for pair in pairs if pair.scored.any()], axis=1)
    np.testing.assert_allclose(np.stack([stats.logp, stats.mean, stats.std, stats.top]), expected, atol=atol)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_sweep_equals_a_full_softmax_in_float64(make: Any) -> None:
    model, pairs = make(), make_pairs([3, 30, 1, 64, 8, 2])
    stats = sweep(model, pairs, batch_tokens=128)
    assert_naive(stats, model, pairs)
    assert stats.counts.tolist() == [2, 15, 0, 32, 4, 1]
    assert stats.token_ids is not None
    assert stats.token_ids.tolist() == [i for pair in pairs for i in pair.input_ids[pair.scored]]
    assert np.isnan(stats.nll()[2])


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_scores_do_not_depend_on_batch_mates(make: Any) -> None:
    model, pairs = make(), make_pairs([2, 64, 5, 33, 3, 64, 17], seed=1)
    together = sweep(model, pairs, batch_tokens=10_000)
    alone = [sweep(model, [pair]) for pair in pairs]
    np.testing.assert_allclose(together.logp, np.concatenate([s.logp for s in alone]), atol=1e-4)
    np.testing.assert_allclose(together.std, np.concatenate([s.std for s in alone]), atol=1e-4)
    shuffled = sweep(model, pairs[::-1], batch_tokens=70)
    np.testing.assert_allclose(together.nll(), shuffled.nll()[::-1], atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 64), min_size=1, max_size=6), budget=st.integers(1, 200))
def test_any_batching_gives_the_same(lengths: list[int], budget: int) -> None:
    model, pairs = tiny.tiny_llama(), make_pairs(lengths, seed=2)
    np.testing.assert_allclose(
        sweep(model, pairs, batch_tokens=budget).logp, sweep(model, pairs, batch_tokens=1).logp, atol=1e-4
    )


def test_texts_beyond_the_context_are_scored_in_windows() -> None:
    model = tiny.tiny_gpt2(positions=16)
    pair = EncodedPair(make_pairs([50])[0].input_ids, np.arange(50) > 0)
    stats = sweep(model, [pair], min_context=4)
    assert stats.counts.tolist() == [49]
    second = EncodedPair(pair.input_ids[12:28], np.arange(16) >= 4)
    np.testing.assert_allclose(stats.logp[15:27], naive(model, second)[0], atol=1e-4)
    shorter = sweep(model, [pair], max_length=8, min_context=2)
    assert np.isfinite(shorter.logp).all()
    np.testing.assert_allclose(shorter.logp[:7], stats.logp[:7], atol=1e-4)


def test_the_vocabulary_is_cut_into_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow_clinsec.scoring.heads.TILE", {"cpu": (7, 33)})
    model, pairs = tiny.tiny_gpt2(vocab_size=700), make_pairs([20, 9], vocab=700)
    assert isinstance(choose_head(model, pairs[0].input_ids), ChunkedHead)
    assert_naive(sweep(model, pairs), model, pairs)
    assert_naive(sweep(model, pairs, head=LogitsHead(model)), model, pairs)


def test_the_fallback_splits_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow_clinsec.scoring.heads.WHOLE_LOGITS", 2 * 20 * 40)
    model, pairs = tiny.tiny_llama(), make_pairs([20, 9, 13, 20, 2])
    assert_naive(sweep(model, pairs, head=LogitsHead(model)), model, pairs)


def soft_capped() -> Any:
    config = Gemma2Config(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, final_logit_softcapping=2.0,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return tiny.build(Gemma2ForCausalLM, config)


def scaled() -> Any:
    config = CohereConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        logit_scale=0.3, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return tiny.build(CohereForCausalLM, config)


def lora_on_head() -> Any:
    model = get_peft_model(tiny.tiny_llama(), LoraConfig(target_modules=["q_proj", "lm_head"], r=2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    return model.eval()


def soft_prompted() -> Any:
    settings = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return get_peft_model(tiny.tiny_llama(), settings).eval()


@pytest.mark.parametrize("make", [soft_capped, scaled, lora_on_head, soft_prompted])
def test_models_whose_logits_are_no_plain_product_use_their_own(make: Any) -> None:
    model, pairs = make(), make_pairs([20, 9, 2])
    assert isinstance(choose_head(model, pairs[0].input_ids), LogitsHead)
    assert_naive(sweep(model, pairs), model, pairs)


def test_words_the_model_rules_out_do_not_spoil_the_moments() -> None:
    model, pairs = tiny.tiny_llama(), make_pairs([20, 9])

    def rule_out(_model: Any, _args: Any, out: Any) -> Any:
        out.logits[..., 30:] = -torch.inf
        return out

    model.register_forward_hook(rule_out)
    kept = [EncodedPair(pair.input_ids % 30, pair.scored) for pair in pairs]
    stats = sweep(model, kept)
    expected = np.concatenate([naive(model, pair)[0] for pair in kept])
    np.testing.assert_allclose(stats.logp, expected, atol=1e-4)
    assert np.isfinite(np.stack([stats.mean, stats.std])).all()


def test_a_low_precision_model_stays_on_the_chunked_head() -> None:
    model, pairs = tiny.tiny_llama().to(torch.bfloat16), make_pairs([20, 9])
    assert isinstance(choose_head(model, pairs[0].input_ids), ChunkedHead)
    assert_naive(sweep(model, pairs), model, pairs, atol=0.2)


def test_the_model_is_left_as_it_was() -> None:
    model = tiny.tiny_gpt2(attn_pdrop=0.5, resid_pdrop=0.5)
    model.train()
    model.transformer.h[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    first, second = (sweep(model, make_pairs([20])) for _ in range(2))
    assert {name: module.training for name, module in model.named_modules()} == before
    np.testing.assert_array_equal(first.logp, second.logp)


def test_broken_weights_are_reported_without_text() -> None:
    model = tiny.tiny_gpt2()
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(TargetError, match="2 of 3 texts"):
        sweep(model, make_pairs([20, 1, 5]))


def test_nothing_to_score() -> None:
    assert len(sweep(tiny.tiny_gpt2(), [])) == 0
    empty = sweep(tiny.tiny_gpt2(), make_pairs([1]))
    assert empty.counts.tolist() == [0]


def test_a_full_memory_is_no_reason_for_a_head_that_needs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, ids: object) -> None:
        raise torch.cuda.OutOfMemoryError("full")

    monkeypatch.setattr("mlflow_clinsec.scoring.heads.ChunkedHead.logits", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        choose_head(tiny.tiny_gpt2(), np.array([1, 5, 6]))
