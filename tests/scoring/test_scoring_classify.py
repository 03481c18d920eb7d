from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.classify import class_probabilities
from mlflow_clinsec.scoring.limits import context_length, input_length

TEXTS = ["fever", "the patient has fever and cough", "no pain . " * 7, "cf", "aspirin was given " * 30, "stable"]
MODELS = {
    "bert": (tiny.tiny_bert, tiny.piece_tokenizer),
    "roberta": (tiny.tiny_roberta, tiny.byte_pair_tokenizer),
    "gpt2": (tiny.tiny_gpt2_classifier, tiny.word_tokenizer),
    "gpt2-without-padding": (lambda: tiny.tiny_gpt2_classifier(None), tiny.word_tokenizer),
}


@pytest.mark.parametrize(("make", "make_tokenizer"), MODELS.values(), ids=MODELS)
def test_probabilities_equal_one_text_at_a_time(make: Any, make_tokenizer: Any) -> None:
    model, tokenizer = make(), make_tokenizer()
    found = class_probabilities(model, tokenizer, TEXTS, batch_tokens=10_000)
    for text, row in zip(TEXTS, found, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0].double()
        np.testing.assert_allclose(row, torch.softmax(logits, 0).numpy(), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    assert np.ptp(found[:, 0]) > 0.05, "the texts must differ for this to show anything"


def test_the_real_limit() -> None:
    # RoBERTa: 34 positions, padding_idx 1, so the first token has position 2 and 32 tokens fit.
    assert context_length(tiny.tiny_roberta(positions=34)) == 32
    assert context_length(tiny.tiny_bert(positions=32)) == 32
    bert = tiny.tiny_bert(positions=32)
    assert input_length(tiny.piece_tokenizer(), bert) == 32, "a tokeniser without a limit says 1e30"
    assert input_length(tiny.piece_tokenizer(model_max_length=20), bert) == 20
    assert input_length(tiny.piece_tokenizer(model_max_length=20), bert, 8) == 8
    assert input_length(tiny.piece_tokenizer(), bert, 100) == 32


@pytest.mark.parametrize(
    "settings",
    [{"labels": {0: "risk"}}, {"problem_type": "multi_label_classification"}, {"problem_type": "regression"}],
)
def test_other_outputs_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match="one logit for each of two or more classes"):
        class_probabilities(tiny.tiny_bert(**settings), tiny.piece_tokenizer(), ["fever"])


def test_broken_weights_and_empty_texts_are_counted_not_quoted() -> None:
    model = tiny.tiny_bert()
    with pytest.raises(TargetError, match=r"^1 of 2 texts"):
        class_probabilities(tiny.tiny_gpt2_classifier(), tiny.word_tokenizer(), ["fever", ""])
    with torch.no_grad():
        model.classifier.bias[0] = torch.nan
    with pytest.raises(TargetError, match="2 of 2 texts"):
        class_probabilities(model, tiny.piece_tokenizer(), ["fever", "pain"])


def test_no_texts() -> None:
    assert class_probabilities(tiny.tiny_bert(), tiny.piece_tokenizer(), []).shape == (0, 2)
