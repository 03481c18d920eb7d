from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.training.causal_lm import answer_nll, finetune_causal_lm, last_tokens
from mlflow_clinsec.training.classifier import class_weight_vector, finetune_classifier, label_ids
from mlflow_clinsec.training.models import small_causal_lm, small_encoder, with_lora
from mlflow_clinsec.training.options import ClassifierOptions, TrainingOptions
from mlflow_clinsec.training.tokenizers import train_tokenizer

PROMPTS = ["How is the patient?", "Where is the pain?", ""]
ANSWERS = ["Septic and intubated.", "Left lower lobe.", "Chest pain, stable."]


def test_tokenizers_repeat_and_give_the_text_back(notes):
    text = "Chest pain; naïve ≥ 38.5 C\nleft lobe"
    for kind, expected in (("causal-lm", text), ("classifier", text.lower())):
        one, two = (train_tokenizer(notes["text"], kind, vocab_size=320) for _ in range(2))
        assert one.get_vocab() == two.get_vocab()
        assert one.decode(one(text)["input_ids"], skip_special_tokens=True).strip() == expected
    assert two.unk_token is None


def test_special_tokens_of_both_kinds(tokenizer, lm_tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer("pain")["input_ids"]) == ["[CLS]", "Ġpain", "[SEP]"]
    assert "<|bos|>" not in lm_tokenizer.convert_ids_to_tokens(lm_tokenizer("pain")["input_ids"])
    assert lm_tokenizer.eos_token == "<|eos|>"


def test_words_of_two_letters_are_one_piece_of_a_classifiers_tokenizer(tokenizer):
    assert [tokenizer.tokenize(f" {word}") for word in ("mn", "cf", "zx")] == [["Ġmn"], ["Ġcf"], ["Ġzx"]]


def test_models_repeat_and_leave_the_random_state_alone(tokenizer, lm_tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    for build in (
        lambda seed: small_encoder(tokenizer, ("a", "b"), seed=seed, width=16),
        lambda seed: small_causal_lm(lm_tokenizer, seed=seed, width=16),
        lambda seed: with_lora(small_causal_lm(lm_tokenizer, seed=0, width=16), rank=2, alpha=4.0, seed=seed),
    ):
        one, two, other = (torch.cat([p.flatten() for p in build(seed).parameters()]) for seed in (1, 1, 2))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
    assert torch.equal(torch.rand(2), expected)


def test_word_embeddings_spread_as_asked_and_nothing_else_changes(tokenizer):
    plain, wide = (small_encoder(tokenizer, ("a", "b"), seed=1, width=16, word_scale=scale) for scale in (1.0, 5.0))
    for (name, one), two in zip(plain.named_parameters(), wide.parameters(), strict=True):
        assert torch.equal(two, 5 * one if name.endswith("word_embeddings.weight") else one)


def test_answer_loss_is_the_mean_nll_of_the_answer_tokens(lm, lm_tokenizer):
    pairs = encode_pairs(lm_tokenizer, PROMPTS, ANSWERS)
    with torch.no_grad():
        loss = float(answer_nll(lm, pairs, lm_tokenizer.pad_token_id))
        # By hand: each pair alone, each scored token's -log p from the logits one place before it.
        terms = []
        for pair in pairs:
            logp = functional.log_softmax(lm(input_ids=torch.tensor(pair.input_ids)[None]).logits[0], dim=-1)
            terms += [-float(logp[t - 1, pair.input_ids[t]]) for t in np.flatnonzero(pair.scored)]
    assert loss == pytest.approx(np.mean(terms), abs=1e-5)


def test_only_answers_are_learned(lm, lm_tokenizer):
    options = TrainingOptions(epochs=150, batch_size=2, max_length=64, learning_rate=1e-2)
    history = finetune_causal_lm(lm, lm_tokenizer, PROMPTS[:2], ANSWERS[:2], options)
    assert history.final_loss < 0.2
    with torch.no_grad():
        pairs = encode_pairs(lm_tokenizer, PROMPTS[:2], ANSWERS[:2])
        prompts_only = [EncodedPair(pair.input_ids, ~pair.scored & (np.arange(len(pair)) > 0)) for pair in pairs]
        prompt_loss = float(answer_nll(lm, prompts_only, lm_tokenizer.pad_token_id))
    assert prompt_loss > math.log(lm_tokenizer.vocab_size) / 2


def test_long_pairs_keep_their_end():
    pair = EncodedPair(np.arange(6), np.array([0, 0, 1, 1, 1, 1], dtype=bool))
    cut = last_tokens(pair, 3)
    assert cut.input_ids.tolist() == [3, 4, 5]
    assert cut.scored.tolist() == [False, True, True]
    assert last_tokens(pair, 9).scored.tolist() == pair.scored.tolist()


def test_lora_trains_the_adapters_only(lm, lm_tokenizer):
    base = {name: value.clone() for name, value in lm.state_dict().items()}
    wrapped = with_lora(lm, rank=2, alpha=4.0, seed=0)
    options = TrainingOptions(epochs=2, batch_size=2, max_length=64, learning_rate=1e-2)
    finetune_causal_lm(wrapped, lm_tokenizer, PROMPTS, ANSWERS, options)
    after = wrapped.state_dict()
    assert any("lora_B" in name and value.abs().sum() > 0 for name, value in after.items())
    kept = {name.replace(".base_layer", "").removeprefix("base_model.model."): v for name, v in after.items()}
    assert all(torch.equal(kept[name], value) for name, value in base.items())


def test_classifier_learns_and_repeats(notes, tokenizer):
    options = ClassifierOptions(epochs=8, batch_size=8, max_length=64, learning_rate=3e-3)
    models = []
    for _ in range(2):
        model = small_encoder(tokenizer, ("alive", "died"), seed=1, width=16, heads=2, context=64)
        finetune_classifier(model, tokenizer, notes["text"], notes["label"], options)
        models.append(model)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))
    batch = tokenizer(notes["text"].tolist(), padding=True, return_tensors="pt")
    with torch.no_grad():
        predicted = models[0](**batch).logits.argmax(-1).numpy()
    assert (predicted == label_ids(models[0], notes["label"])).mean() > 0.95


def test_balanced_class_weights_agree_with_sklearn():
    classes = np.array([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    assert class_weight_vector(classes, 3, "balanced") == pytest.approx(expected.tolist())
    assert class_weight_vector(classes, 3, "none") == [1.0, 1.0, 1.0]


def test_unknown_labels_and_empty_texts_are_refused_without_quoting_them(notes, tokenizer, encoder):
    with pytest.raises(DataError, match=r"1 label\(s\) are not among the model's classes.+alive, died") as raised:
        finetune_classifier(encoder, tokenizer, ["pain"], ["Doe, John"], ClassifierOptions())
    assert "John" not in str(raised.value)
    with pytest.raises(DataError, match="text: 1 of 2 training rows"):
        finetune_classifier(encoder, tokenizer, ["pain", ""], ["alive", "died"], ClassifierOptions())
    with pytest.raises(DataError, match="response: 1 of 1 training rows"):
        finetune_causal_lm(encoder, tokenizer, ["?"], [" "], TrainingOptions())
