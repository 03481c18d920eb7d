from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.scoring.attention import attention_on

MODELS = {
    "bert": (tiny.tiny_bert, tiny.piece_tokenizer, (3, 4)),
    "gpt2": (tiny.tiny_gpt2, tiny.word_tokenizer, (2, 2)),
    "llama-gqa": (tiny.tiny_llama, tiny.word_tokenizer, (2, 4)),
    "lora": (
        lambda: get_peft_model(tiny.tiny_llama(), LoraConfig(target_modules=["q_proj"])),
        tiny.word_tokenizer,
        (2, 4),
    ),
}
WIDE = {"num_hidden_layers": 10, "num_attention_heads": 12, "hidden_size": 24, "intermediate_size": 24}
PADDING = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MODELS |= {
    # Heads and layers beyond the eighth, which known detectors never look at.
    "bert-12-heads": (lambda: wide_bert(), tiny.piece_tokenizer, (10, 12)),
    "llama-gqa-12-heads": (
        lambda: tiny.build(LlamaForCausalLM, LlamaConfig(vocab_size=40, num_key_value_heads=3, **WIDE, **PADDING)),
        tiny.word_tokenizer,
        (10, 12),
    ),
    "mistral-sliding-window": (
        lambda: tiny.build(
            MistralForCausalLM,
            MistralConfig(vocab_size=40, num_key_value_heads=6, head_dim=2, sliding_window=4, **WIDE, **PADDING),
        ),
        tiny.word_tokenizer,
        (10, 12),
    ),
    "gemma2-alternating-windows": (
        lambda: tiny.build(
            Gemma2ForCausalLM,
            Gemma2Config(vocab_size=40, num_key_value_heads=6, head_dim=2, sliding_window=4, **WIDE, **PADDING),
            0.2,
        ),
        tiny.word_tokenizer,
        (10, 12),
    ),
}


def wide_bert() -> Any:
    return tiny.build(
        BertForSequenceClassification,
        BertConfig(vocab_size=len(tiny.PIECES), max_position_embeddings=32, pad_token_id=0, **WIDE),
    )


TEXTS = ["the patient cf has fever", "cf no pain", "the patient has cough and pain in left chest cf ."]
SPANS = [[(12, 14)], [(0, 2)], [(46, 48), (0, 3)]]
WORDS_OF_SPANS = [[2], [0], [9, 0]]


@pytest.mark.parametrize(("make", "make_tokenizer", "shape"), MODELS.values(), ids=MODELS)
def test_shares_and_peaks_equal_a_double_loop_over_one_text(make: Any, make_tokenizer: Any, shape: Any) -> None:
    model, tokenizer = make(), make_tokenizer()
    before = model.config._attn_implementation
    found = attention_on(model, tokenizer, TEXTS, SPANS)
    assert found.share.shape == found.peak.shape == (3, *shape)
    assert model.config._attn_implementation == before, "restored"
    reader = make()
    reader.set_attn_implementation("eager")
    encoder = make_tokenizer is tiny.piece_tokenizer
    special = 1 if encoder else 0  # [CLS] stands before the words
    for text, words, shares, peaks in zip(TEXTS, WORDS_OF_SPANS, found.share, found.peak, strict=True):
        keys = {word + special for word in words}
        with torch.no_grad():
            layers = reader(**tokenizer(text, return_tensors="pt"), output_attentions=True).attentions
        for layer, weights in enumerate(layers):
            for head, square in enumerate(weights[0].double().numpy()):
                mass = [sum(square[query, key] for key in keys) for query in range(len(square))]
                assert shares[layer, head] == pytest.approx(np.mean(mass), abs=1e-5)
                seeing = range(0 if encoder else min(keys), len(square))
                looks = [int(np.argmax(square[query])) in keys for query in seeing]
                assert peaks[layer, head] == pytest.approx(np.mean(looks))


def test_prompts_are_read_inside_their_turn() -> None:
    tokenizer = tiny.word_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}a of {{ m.content }} {% endfor %}{% if add_generation_prompt %}. {% endif %}"
    )
    model = tiny.tiny_llama()
    found = attention_on(model, tokenizer, TEXTS, SPANS, prompts=True)
    rendered = [f"a of {text} . " for text in TEXTS]
    shifted = [[(start + 5, stop + 5) for start, stop in spans] for spans in SPANS]
    plain = attention_on(model, tokenizer, rendered, shifted)
    np.testing.assert_allclose(found.share, plain.share, atol=1e-6)
    np.testing.assert_array_equal(found.peak, plain.peak)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_implementation_is_put_back_also_after_an_error(implementation: str) -> None:
    model = tiny.tiny_llama()
    model.set_attn_implementation(implementation)
    attention_on(model, tiny.word_tokenizer(), TEXTS, SPANS)
    assert model.config._attn_implementation == implementation
    model.model.forward = None
    with pytest.raises(TypeError):
        attention_on(model, tiny.word_tokenizer(), TEXTS, SPANS)
    assert model.config._attn_implementation == implementation


def test_a_span_that_was_cut_off_has_no_share() -> None:
    texts = ["the patient " * 30 + "cf", "cf " + "the patient " * 30, "the cf"]
    spans: list[list[tuple[int, int]]] = [[(360, 362)], [(0, 2)], []]
    found = attention_on(tiny.tiny_bert(), tiny.piece_tokenizer(), texts, spans).share
    assert np.isnan(found[0]).all()
    assert (found[1] > 0).all()
    assert np.isnan(found[2]).all()


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny.tiny_bert(), tiny.piece_tokenizer()
    whole = attention_on(model, tokenizer, TEXTS, SPANS).share
    monkeypatch.setattr("mlflow_clinsec.scoring.attention.ATTENTION_ELEMENTS", 1)
    np.testing.assert_allclose(attention_on(model, tokenizer, TEXTS, SPANS).share, whole, atol=1e-5)


@pytest.mark.parametrize("attentions", [(), None, (None,), (torch.ones(1, 4, 3, 2),)])
def test_missing_attention_is_an_error(attentions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.tiny_bert()

    class Silent:
        attentions: Any = None

    answer = Silent()
    answer.attentions = attentions
    monkeypatch.setattr(model.bert, "forward", lambda **_inputs: answer)
    with pytest.raises(AttentionUnavailableError):
        attention_on(model, tiny.piece_tokenizer(), TEXTS, SPANS)
    assert model.config._attn_implementation == "sdpa"


def test_no_texts() -> None:
    assert attention_on(tiny.tiny_bert(), tiny.piece_tokenizer(), [], []).share.shape == (0, 3, 4)
