from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from peft import LoraConfig, get_peft_model
from target_data import NOTES, make_data
from transformers import T5Config, T5ForConditionalGeneration

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.digest import model_digest
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target, classifier_target, place

ROLES = ("scorer", "reference", "label_scorer", "predictor", "generator", "attention", "tokens")


def roles_of(target: Any) -> set[str]:
    return {role for role in ROLES if getattr(target, role) is not None}


def test_roles_of_a_causal_model() -> None:
    target = causal_lm_target(tiny.tiny_gpt2(), tiny.word_tokenizer())
    assert roles_of(target) == {"scorer", "generator", "attention", "tokens"}
    assert target.name == "GPT2LMHeadModel"
    assert "privacy.reference" in target.missing(["reference"])


def test_a_peft_model_brings_its_reference() -> None:
    model = get_peft_model(tiny.tiny_llama(), LoraConfig(target_modules=["q_proj"]))
    target = causal_lm_target(model, tiny.word_tokenizer(), name="models:/x/1")
    assert "reference" in roles_of(target)
    assert target.reference is not None
    data = make_data()
    plain = causal_lm_target(tiny.tiny_llama(), tiny.word_tokenizer())
    assert plain.scorer is not None
    np.testing.assert_allclose(
        target.reference.token_stats(data.prompts, data.responses).logp,
        plain.scorer.token_stats(data.prompts, data.responses).logp,
        atol=1e-5,
    )


def test_roles_of_a_classifier_and_its_limits() -> None:
    tokenizer = tiny.piece_tokenizer()
    target = classifier_target(tiny.tiny_bert(), tokenizer, options=TargetOptions(max_length=6, batch_tokens=20))
    assert roles_of(target) == {"label_scorer", "predictor", "attention", "tokens"}
    assert target.tokens is not None
    texts = ["the patient has fever cf", "the patient has cf fever"]
    assert target.tokens.survives(texts, [[(22, 24)], [(16, 18)]]).tolist() == [False, True]
    assert target.labels == ("alive", "died")


def test_only_numbered_classes_take_the_users_names() -> None:
    numbered = tiny.tiny_bert(labels={0: "LABEL_0", 1: "LABEL_1"})
    assert classifier_target(numbered, tiny.piece_tokenizer(), labels=["no", "yes"]).labels == ("no", "yes")
    assert classifier_target(numbered, tiny.piece_tokenizer(), labels=["a", "b", "c"]).labels == ("LABEL_0", "LABEL_1")
    assert classifier_target(tiny.tiny_bert(), tiny.piece_tokenizer(), labels=["no", "yes"]).labels == ("alive", "died")


def test_a_slow_tokeniser_leaves_roles_empty_and_says_why() -> None:
    class Slow:
        is_fast = False
        bos_token_id = 1
        chat_template = None

        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            return [4 + ord(letter) % 20 for letter in text]

        def get_vocab(self) -> dict[str, int]:
            return {}

    target = causal_lm_target(tiny.tiny_gpt2(), Slow())
    assert roles_of(target) == {"scorer", "generator"}
    assert "not a fast one" in target.missing(["tokens"])
    assert target.scorer is not None
    assert target.scorer.token_stats(["ab"], ["cd"]).counts.tolist() == [2]


def test_models_that_cannot_be_read() -> None:
    encoder_decoder = T5ForConditionalGeneration(
        T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )
    with pytest.raises(TargetError, match="decoder-only"):
        causal_lm_target(encoder_decoder, tiny.word_tokenizer())
    with pytest.raises(TargetError, match="tokeniser"):
        causal_lm_target(tiny.tiny_gpt2(), None)
    with pytest.raises(TargetError, match="tokeniser"):
        classifier_target(tiny.tiny_bert(), None)


def test_several_attacks_share_one_sweep() -> None:
    model, data = tiny.tiny_gpt2(), make_data()
    target = causal_lm_target(model, tiny.word_tokenizer())
    assert target.scorer is not None
    calls: list[int] = []
    model.transformer.register_forward_hook(lambda *_: calls.append(1))
    first = target.scorer.token_stats(data.prompts, data.responses)
    passes = len(calls)
    second = target.scorer.token_stats(data.prompts[:3], data.responses[:3])
    assert len(calls) == passes > 0
    np.testing.assert_array_equal(second.logp, first.logp[: len(second.logp)])


def test_placing_a_model() -> None:
    model = tiny.tiny_gpt2()
    place(model, "cpu")()
    place(model, "auto")()
    assert model.device == torch.device("cpu")
    with pytest.raises(TargetError, match="cannot move the model"):
        place(model, "nonsense")
    moved = tiny.tiny_gpt2()
    back = place(moved, "meta")
    assert moved.device.type == "meta"
    assert callable(back)


def test_digests_tell_models_and_tokenisers_apart() -> None:
    tokenizer, model = tiny.word_tokenizer(), tiny.tiny_gpt2()
    digest = model_digest(model, tokenizer)
    assert digest == model_digest(tiny.tiny_gpt2(), tokenizer)
    assert digest != model_digest(tiny.tiny_gpt2(), tiny.piece_tokenizer())
    assert digest != model_digest(tiny.tiny_gpt2(vocab_size=41), tokenizer)
    with torch.no_grad():
        model.transformer.ln_f.bias += 0.01
    assert digest != model_digest(model, tokenizer)
    assert len(digest) == 64
    assert NOTES[0] not in digest
