from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from peft import LoraConfig, get_peft_model

from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.scoring.attention import attention_share

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
TEXTS = ["the patient cf has fever", "cf no pain", "the patient has cough and pain in left chest cf ."]
SPANS = [[(12, 14)], [(0, 2)], [(46, 48), (0, 3)]]
WORDS_OF_SPANS = [[2], [0], [9, 0]]


@pytest.mark.parametrize(("make", "make_tokenizer", "shape"), MODELS.values(), ids=MODELS)
def test_shares_equal_a_double_loop_over_one_text(make: Any, make_tokenizer: Any, shape: Any) -> None:
    model, tokenizer = make(), make_tokenizer()
    found = attention_share(model, tokenizer, TEXTS, SPANS)
    assert found.shape == (3, *shape)
    assert model.config._attn_implementation == "sdpa", "restored"
    reader = make()
    reader.set_attn_implementation("eager")
    special = 1 if make is tiny.tiny_bert else 0  # [CLS] stands before the words
    for text, words, shares in zip(TEXTS, WORDS_OF_SPANS, found, strict=True):
        with torch.no_grad():
            layers = reader(**tokenizer(text, return_tensors="pt"), output_attentions=True).attentions
        for layer, weights in enumerate(layers):
            for head, square in enumerate(weights[0].double().numpy()):
                mass = [sum(square[query, word + special] for word in words) for query in range(len(square))]
                assert shares[layer, head] == pytest.approx(np.mean(mass), abs=1e-5)


def test_a_span_that_was_cut_off_has_no_share() -> None:
    texts = ["the patient " * 30 + "cf", "cf " + "the patient " * 30, "the cf"]
    spans: list[list[tuple[int, int]]] = [[(360, 362)], [(0, 2)], []]
    found = attention_share(tiny.tiny_bert(), tiny.piece_tokenizer(), texts, spans)
    assert np.isnan(found[0]).all()
    assert (found[1] > 0).all()
    assert np.isnan(found[2]).all()


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny.tiny_bert(), tiny.piece_tokenizer()
    whole = attention_share(model, tokenizer, TEXTS, SPANS)
    monkeypatch.setattr("mlflow_clinsec.scoring.attention.ATTENTION_ELEMENTS", 1)
    np.testing.assert_allclose(attention_share(model, tokenizer, TEXTS, SPANS), whole, atol=1e-5)


@pytest.mark.parametrize("attentions", [(), None, (None,), (torch.ones(1, 4, 3, 2),)])
def test_missing_attention_is_an_error(attentions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.tiny_bert()

    class Silent:
        attentions: Any = None

    answer = Silent()
    answer.attentions = attentions
    monkeypatch.setattr(model.bert, "forward", lambda **_inputs: answer)
    with pytest.raises(AttentionUnavailableError):
        attention_share(model, tiny.piece_tokenizer(), TEXTS, SPANS)
    assert model.config._attn_implementation == "sdpa"


def test_no_texts() -> None:
    assert attention_share(tiny.tiny_bert(), tiny.piece_tokenizer(), [], []).shape == (0, 3, 4)
