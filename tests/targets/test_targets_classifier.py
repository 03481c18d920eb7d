from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
import torch

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.classifier import AttentionHeads, MostProbableLabel, TextClassifier

TEXTS = ["fever and cough", "the", "no pain in left chest"]


def test_labels_come_from_the_model_or_from_the_user() -> None:
    model, tokenizer = tiny.tiny_bert(), tiny.piece_tokenizer()
    own, named = TextClassifier(model, tokenizer), TextClassifier(model, tokenizer, labels=["no", "yes"])
    assert own.labels == ("alive", "died")
    assert named.labels == ("no", "yes")
    np.testing.assert_array_equal(own.predict_proba(TEXTS), named.predict_proba(TEXTS))


def test_the_decision_is_the_most_probable_label() -> None:
    scorer = TextClassifier(tiny.tiny_bert(), tiny.piece_tokenizer(), max_length=8)
    probabilities = scorer.predict_proba(TEXTS)
    expected = tuple("died" if p[1] > p[0] else "alive" for p in probabilities)
    assert MostProbableLabel(scorer).predict_labels(TEXTS) == expected
    assert len(set(expected)) == 2
    assert MostProbableLabel(scorer).predict_labels([]) == ()


def test_max_length_cuts() -> None:
    model, tokenizer = tiny.tiny_bert(), tiny.piece_tokenizer()
    short = TextClassifier(model, tokenizer, max_length=4)
    np.testing.assert_allclose(
        short.predict_proba(["fever and cough"]),
        TextClassifier(model, tokenizer).predict_proba(["fever and"]),
        atol=1e-6,
    )


def test_a_regression_model_is_refused_before_any_text() -> None:
    with pytest.raises(TargetError, match="one logit for each"):
        TextClassifier(tiny.tiny_bert(labels={0: "risk"}), tiny.piece_tokenizer())


def test_attention_is_read_with_the_same_limit() -> None:
    reader = AttentionHeads(tiny.tiny_bert(), tiny.piece_tokenizer(), max_length=5)
    found = reader.attention_to(["the patient cf", "the patient has cf"], [[(12, 14)], [(16, 18)]]).share
    assert found.shape == (2, 3, 4)
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [False, True]


def test_inputs_that_are_the_same_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.tiny_bert()
    scorer = TextClassifier(model, tiny.piece_tokenizer(), max_length=6)
    plain, seen = model.forward, []
    monkeypatch.setattr(model, "forward", lambda **inputs: seen.append(len(inputs["input_ids"])) or plain(**inputs))
    texts = ["the patient has fever cf", "the patient has fever mn", "the patient has  fever", "cf the patient"]
    found = scorer.predict_proba(texts)
    assert sum(seen) == 2, "a trigger behind the end, or a second blank, is nothing that the model could see"
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[3])
    with torch.no_grad():
        model.classifier.bias[0] += 5
    assert (scorer.predict_proba(texts)[:, 0] > found[:, 0]).all(), "the weights may change between calls"
