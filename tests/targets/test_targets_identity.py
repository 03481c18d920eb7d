from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models as tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target, classifier_target
from mlflow_clinsec.targets.identity import content_digest, identity
from mlflow_clinsec.training.models import with_lora


@pytest.fixture
def model() -> Any:
    return tiny.tiny_gpt2()


@pytest.fixture
def tokenizer() -> Any:
    return tiny.word_tokenizer()


def test_a_copy_is_the_same_wherever_it_lies(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        if name == "here":
            model.save_pretrained(tmp_path / name)
            tokenizer.save_pretrained(tmp_path / name)
        else:
            shutil.copytree(tmp_path / "here", tmp_path / name)
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / name), AutoTokenizer.from_pretrained(tmp_path / name)
        found.append(identity(*loaded, "auto"))
    assert found[0] == found[1] != ""
    assert identity(model, tokenizer, "auto") == identity(copy.deepcopy(model), copy.deepcopy(tokenizer), "auto")


def test_use_does_not_change_it(model: Any, tokenizer: Any) -> None:
    before = identity(model, tokenizer, "auto")
    tokenizer(["the patient has fever"], truncation=True, max_length=2, padding=True)
    model(input_ids=torch.tensor([[4, 5, 6]]), output_attentions=True)
    model.generate(torch.tensor([[4, 5]]), max_new_tokens=2, pad_token_id=0)
    assert identity(model, tokenizer, "auto") == before


def _one_bit(model: Any, tokenizer: Any) -> None:
    with torch.no_grad():
        weight = model.transformer.h[0].mlp.c_fc.weight.view(torch.int32)
        weight[0, 0] ^= 1


def _half(model: Any, tokenizer: Any) -> None:
    model.half()


def _setting(model: Any, tokenizer: Any) -> None:
    model.config.layer_norm_epsilon = 1e-3


def _attention(model: Any, tokenizer: Any) -> None:
    model.set_attn_implementation("eager")


def _buffer(model: Any, tokenizer: Any) -> None:
    model.register_buffer("more", torch.ones(1), persistent=False)


def _template(model: Any, tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages }}"


def _token(model: Any, tokenizer: Any) -> None:
    tokenizer.add_tokens(["sepsis"])


def _generation(model: Any, tokenizer: Any) -> None:
    model.generation_config.suppress_tokens = [3]


@pytest.mark.parametrize("change", [_one_bit, _half, _setting, _attention, _buffer, _template, _token, _generation])
def test_every_change_shows(model: Any, tokenizer: Any, change: Callable[[Any, Any], None]) -> None:
    before = identity(model, tokenizer, "auto")
    change(model, tokenizer)
    assert identity(model, tokenizer, "auto") not in ("", before)


def test_an_adapter_and_its_scale_show(model: Any, tokenizer: Any) -> None:
    found = {identity(model, tokenizer, "auto")}
    adapted = with_lora(model, rank=2, alpha=4, seed=0)
    found.add(identity(adapted, tokenizer, "auto"))
    adapted.peft_config["default"].lora_alpha += 1
    found.add(identity(adapted, tokenizer, "auto"))
    assert len(found) == 3
    assert "" not in found


def _switched_off(adapted: Any) -> None:
    adapted.base_model.disable_adapter_layers()


def _stronger(adapted: Any) -> None:
    next(m for m in adapted.modules() if hasattr(m, "set_scale")).set_scale("default", 2.0)


@pytest.mark.parametrize("change", [_switched_off, _stronger])
def test_what_the_layers_of_an_adapter_were_told_shows(
    model: Any, tokenizer: Any, change: Callable[[Any], None]
) -> None:
    adapted = with_lora(model, rank=2, alpha=4, seed=0)
    before = identity(adapted, tokenizer, "auto")
    change(adapted)
    assert identity(adapted, tokenizer, "auto") not in ("", before)


class OwnCode(torch.nn.Linear):
    """Nobody can tell what this does."""


def _own_code(model: Any, tokenizer: Any) -> None:
    model.transformer.h[0].own = OwnCode(2, 2)


def _patched(model: Any, tokenizer: Any) -> None:
    model.transformer.forward = model.transformer.forward


def _hooked(model: Any, tokenizer: Any) -> None:
    model.transformer.register_forward_hook(lambda module, inputs, output: None)


def _not_loaded(model: Any, tokenizer: Any) -> None:
    model.to("meta")


@pytest.mark.parametrize("change", [_own_code, _patched, _hooked, _not_loaded])
def test_a_model_that_cannot_be_told_has_none(model: Any, tokenizer: Any, change: Callable[[Any, Any], None]) -> None:
    change(model, tokenizer)
    assert identity(model, tokenizer, "cpu") == ""


@pytest.mark.parametrize("change", [_one_bit, _half, _setting, _template, _token, _generation])
def test_content_is_every_weight_setting_and_token(
    model: Any, tokenizer: Any, change: Callable[[Any, Any], None]
) -> None:
    before = content_digest(model, tokenizer)
    assert content_digest(copy.deepcopy(model), copy.deepcopy(tokenizer)) == before
    change(model, tokenizer)
    assert content_digest(model, tokenizer) != before


def test_content_that_cannot_be_told_is_shared_with_nothing(model: Any, tokenizer: Any) -> None:
    _not_loaded(model, tokenizer)
    assert content_digest(model, tokenizer) != content_digest(model, tokenizer)


def test_batches_of_another_size_are_another_reading_of_16_bit_models_alone(cache_folder: Path) -> None:
    """In float32 a score hardly depends on its batch-mates."""
    store = Store(cache_folder, 1.0)
    sizes = [TargetOptions(store=store, batch_tokens=size) for size in (256, 512)]
    for model, readings in ((tiny.tiny_gpt2(), 1), (tiny.tiny_gpt2().bfloat16(), 2)):
        assert (
            len({causal_lm_target(model, tiny.word_tokenizer(), options=size).identity for size in sizes}) == readings
        )
    rounded = [replace(size, precision="bfloat16") for size in sizes]
    assert len({size.identity(tiny.tiny_gpt2(), tiny.word_tokenizer()) for size in rounded}) == 2
    store.close()


def test_targets_have_one_only_where_something_is_kept(cache_folder: Path) -> None:
    store = Store(cache_folder, 1.0)
    pairs = {"causal": (tiny.tiny_gpt2(), tiny.word_tokenizer()), "labels": (tiny.tiny_bert(), tiny.piece_tokenizer())}
    found = set()
    for kept in (TargetOptions(store=store), TargetOptions(store=store, max_length=8)):
        found |= {causal_lm_target(*pairs["causal"], options=kept).identity}
        found |= {classifier_target(*pairs["labels"], options=kept).identity}
    assert len(found) == 4
    assert "" not in found
    assert causal_lm_target(*pairs["causal"]).identity == ""
    store.close()
