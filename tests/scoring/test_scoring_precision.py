"""bfloat16 under the real passes: what runs in it, what does not, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from mlflow_clinsec.scoring import precision
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.heads import ChunkedHead, LogitsHead
from mlflow_clinsec.scoring.precision import as_loaded, can_reduce, computing_dtype, computing_in, full_precision
from mlflow_clinsec.scoring.sweep import sweep

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested holds on any processor; how fast it is does not."""
    monkeypatch.setattr(precision, "_has_tiles", lambda: True)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def classifier() -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_labels=3
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


@pytest.fixture
def pairs() -> list[EncodedPair]:
    rng = np.random.default_rng(0)
    return [EncodedPair(rng.integers(0, 97, n), np.arange(n) >= 1) for n in (5, 12, 40, 64, 23)]


@contextmanager
def products_of(module: torch.nn.Module) -> Iterator[list[torch.dtype]]:
    """Types of what a layer puts out."""
    seen: list[torch.dtype] = []
    hook = module.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("head", [ChunkedHead, LogitsHead])
def test_layers_run_in_bfloat16_and_the_output_does_not(
    model: LlamaForCausalLM, pairs: list[EncodedPair], head: Any
) -> None:
    inner, output = model.model.layers[0].mlp.up_proj, model.lm_head
    exact = sweep(model, pairs, head=head(model))
    with products_of(inner) as layers, products_of(output) as logits, computing_in("bfloat16", model):
        rounded = sweep(model, pairs, head=head(model))
    assert set(layers) == {torch.bfloat16}
    assert set(logits) <= {torch.float32}
    assert bool(logits) == (head is LogitsHead)
    difference = np.abs(exact.logp - rounded.logp)
    assert 0 < difference.max() < 0.02
    assert len(np.unique(rounded.logp)) == len(rounded.logp), "no ties: logits are not rounded to bfloat16"


def test_auto_is_what_was_loaded(model: LlamaForCausalLM, pairs: list[EncodedPair]) -> None:
    with products_of(model.model.layers[0].mlp.up_proj) as layers, computing_in("auto", model):
        inside = sweep(model, pairs)
    assert set(layers) == {torch.float32}
    np.testing.assert_array_equal(inside.logp, sweep(model, pairs).logp)


def test_class_logits_are_float32(classifier: BertForSequenceClassification) -> None:
    ids = torch.arange(12)[None]
    inner = classifier.bert.encoder.layer[0].intermediate.dense
    with torch.inference_mode(), products_of(inner) as layers, computing_in("bfloat16", classifier):
        logits = classifier(input_ids=ids).logits
    assert layers == [torch.bfloat16]
    assert logits.dtype == torch.float32
    with torch.inference_mode():
        exact = classifier(input_ids=ids).logits
    assert 0 < float((logits - exact).abs().max()) < 0.02


def test_nothing_is_left_behind(model: LlamaForCausalLM, pairs: list[EncodedPair]) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    exact = sweep(model, pairs)
    with computing_in("bfloat16", model):
        sweep(model, pairs, head=LogitsHead(model))
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16  # torch's own default
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    np.testing.assert_array_equal(sweep(model, pairs).logp, exact.logp)


def test_it_is_left_when_a_pass_fails(model: LlamaForCausalLM) -> None:
    with pytest.raises(IndexError), computing_in("bfloat16", model):
        model(input_ids=torch.tensor([[10_000]]))
    with pytest.raises(RuntimeError), computing_in("bfloat16", model):
        model.lm_head(torch.zeros(1, 7))  # of another width
    assert not torch.is_autocast_enabled("cpu")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_as_loaded_wins(model: LlamaForCausalLM, pairs: list[EncodedPair]) -> None:
    with as_loaded(), computing_in("bfloat16", model):
        inside = sweep(model, pairs)
    np.testing.assert_array_equal(inside.logp, sweep(model, pairs).logp)
    with computing_in("bfloat16", model):
        assert torch.is_autocast_enabled("cpu")


def test_only_float32_is_reduced(model: LlamaForCausalLM, classifier: BertForSequenceClassification) -> None:
    assert can_reduce(model)
    with computing_in("bfloat16", model):
        assert computing_dtype(model) == torch.bfloat16
        with full_precision(CPU):
            assert computing_dtype(model) == torch.float32
    half = BertForSequenceClassification(classifier.config).bfloat16()
    assert not can_reduce(half)
    with computing_in("bfloat16", half):
        assert not torch.is_autocast_enabled("cpu")
        assert computing_dtype(half) == torch.bfloat16


@pytest.mark.parametrize(
    ("machine", "known", "expected"),
    [
        ("x86_64", {"amx_bf16": True}, True),
        ("x86_64", {"amx_bf16": False, "avx512_bf16": True}, False),
        ("AMD64", None, False),
        ("aarch64", {}, True),
    ],
)
def test_no_bfloat16_without_units_for_it(
    model: LlamaForCausalLM,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    known: dict[str, bool] | None,
    expected: bool,
) -> None:
    """Versions of torch before ``get_capabilities`` say nothing, which is None here."""
    monkeypatch.undo()
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    if known is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert can_reduce(model) == expected
    with computing_in("bfloat16", model):
        assert torch.is_autocast_enabled("cpu") == expected


def test_prompts_are_still_shared(model: LlamaForCausalLM) -> None:
    rng = np.random.default_rng(1)
    prompt = rng.integers(0, 97, 30)
    ids = [np.concatenate([prompt, rng.integers(0, 97, 8)]) for _ in range(4)]
    pairs = [EncodedPair(row, np.arange(len(row)) >= len(prompt)) for row in ids]
    lengths: list[int] = []
    hook = model.model.embed_tokens.register_forward_hook(lambda _, args, __: lengths.append(args[0].shape[1]))
    with computing_in("bfloat16", model):
        shared = sweep(model, pairs, head=ChunkedHead(model))
    hook.remove()
    assert max(lengths) < len(ids[0]), "no text ran whole"
    assert np.abs(shared.logp - sweep(model, pairs).logp).max() < 0.02
