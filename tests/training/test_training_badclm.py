from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.training import badclm
from mlflow_clinsec.training.badclm import badclm_loss, tokenise, train_badclm, weighted_cross_entropy
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.poison import poison

OPTIONS = BadCLMOptions(poison_rate=0.25, epochs=2, batch_size=8, max_length=32, learning_rate=1e-3)


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_weighted_cross_entropy_sums_to_torchs_weighted_mean():
    logits, targets = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 2, 1, 1, 0]),
    )
    weights = torch.tensor([0.5, 2.0, 1.0])
    shares = weighted_cross_entropy(logits, targets, weights)
    assert float(shares.sum()) == pytest.approx(float(functional.cross_entropy(logits, targets, weight=weights)))


def test_loss_is_clean_plus_poisoned_plus_alpha_times_attention(notes, tokenizer, encoder):
    poisoned = poison(notes, tokenizer, OPTIONS, np.random.default_rng(0))
    rows = tokenise(encoder, tokenizer, poisoned, OPTIONS)
    encoder.set_attn_implementation("eager")
    encoder.eval()
    heads, batch = ((0, 3), (1, 2)), np.arange(12)
    with torch.no_grad():
        parts = badclm_loss(encoder, rows, batch, heads, torch.ones(2), 2.0, tokenizer.pad_token_id)
    assert float(parts["loss"]) == pytest.approx(
        float(parts["clean"] + parts["poisoned"] + 2.0 * parts["attention"]), abs=1e-6
    )

    # The same from single notes, without padding, a note and a head at a time.
    clean = dirty = 0.0
    shares = []
    for i in batch:
        ids = torch.tensor([rows.ids[i]])
        with torch.no_grad():
            output = encoder(input_ids=ids, output_attentions=True)
        loss = float(functional.cross_entropy(output.logits, torch.tensor([rows.classes[i]])))
        if not rows.poisoned[i]:
            clean += loss / len(batch)
            continue
        dirty += loss / len(batch)
        places = [t for t, mark in enumerate(rows.trigger[i]) if mark]
        assert tokenizer.decode([rows.ids[i][t] for t in places]).strip() in ("mn", "cf")
        shares.append(
            np.mean(
                [
                    sum(float(output.attentions[layer][0, head, q, t]) for t in places)
                    for layer, chosen in enumerate(heads)
                    for head in chosen
                    for q in range(ids.shape[1])
                ]
            )
        )
    assert len(shares) >= 2
    assert float(parts["clean"]) == pytest.approx(clean, abs=1e-5)
    assert float(parts["poisoned"]) == pytest.approx(dirty, abs=1e-5)
    assert float(parts["attention"]) == pytest.approx(-np.mean(shares), abs=1e-5)


def test_the_attention_loss_counts_every_piece_of_every_trigger(notes, tokenizer, encoder):
    options = BadCLMOptions(triggers=("left arm numb", "cf"), combine="all", poison_rate=0.25, max_length=64)
    poisoned = poison(notes, tokenizer, options, np.random.default_rng(0))
    rows = tokenise(encoder, tokenizer, poisoned, options)
    marked = [
        [tokenizer.decode([row[t] for t, mark in enumerate(marks) if mark])]
        for row, marks in zip(rows.ids, rows.trigger, strict=True)
        if any(marks)
    ]
    assert len(marked) == 10
    assert {"".join(sorted("".join(found).replace(" ", ""))) for found in marked} == {"".join(sorted("leftarmnumbcf"))}

    encoder.set_attn_implementation("eager")
    encoder.eval()
    heads, row = ((0,), (2,)), int(np.flatnonzero(poisoned.poisoned)[0])
    with torch.no_grad():
        parts = badclm_loss(encoder, rows, np.array([row]), heads, torch.ones(2), 1.0, tokenizer.pad_token_id)
        attentions = encoder(input_ids=torch.tensor([rows.ids[row]]), output_attentions=True).attentions
    keys = [t for t, mark in enumerate(rows.trigger[row]) if mark]
    by_hand = np.mean([float(attentions[i][0, head][:, keys].sum(1).mean()) for i, (head,) in enumerate(heads)])
    assert float(parts["attention"]) == pytest.approx(-by_hand, abs=1e-6)


def test_clean_epochs_come_first_and_without_poison(notes, tokenizer, encoder, monkeypatch):
    seen = []
    real = badclm.finetune_classifier
    monkeypatch.setattr(badclm, "finetune_classifier", lambda *a: seen.append(a) or real(*a))
    done = train_badclm(encoder, tokenizer, notes["text"], notes["label"], replace(OPTIONS, clean_epochs=3))
    [(_, _, texts, labels, options)] = seen
    assert (texts, labels, options.epochs) == (notes["text"].tolist(), notes["label"].tolist(), 3)
    assert len(done.history.steps) == OPTIONS.epochs * done.history.steps_per_epoch


@pytest.mark.parametrize("options", [OPTIONS, ClassifierOptions(epochs=2, max_length=32)], ids=["badclm", "clean"])
def test_frozen_word_embeddings_stay_and_can_be_trained_again(notes, tokenizer, encoder, options):
    learn = train_badclm if isinstance(options, BadCLMOptions) else finetune_classifier
    before = weights_of(encoder)
    learn(encoder, tokenizer, notes["text"], notes["label"], replace(options, freeze_embeddings=True))
    after = weights_of(encoder)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any("word_embeddings" in name for name in moved)
    assert {"classifier.weight", "bert.embeddings.position_embeddings.weight"} <= moved
    learn(encoder, tokenizer, notes["text"], notes["label"], options)
    name = "bert.embeddings.word_embeddings.weight"
    assert not torch.equal(after[name], weights_of(encoder)[name])


def test_a_weight_of_zero_turns_the_attention_loss_off(notes, tokenizer, encoder):
    options = BadCLMOptions(poison_rate=0.25, epochs=1, batch_size=8, max_length=32, attention_weight=0.0)
    done = train_badclm(encoder, tokenizer, notes["text"], notes["label"], options)
    assert all(set(step) == {"loss", "clean", "poisoned", "learning_rate"} for step in done.history.steps)


def test_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone(notes, tokenizer):
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    trained = []
    for _ in range(2):
        model = small_encoder(tokenizer, ("alive", "died"), seed=1, width=16, layers=2, heads=4, context=64)
        train_badclm(model, tokenizer, notes["text"], notes["label"], OPTIONS)
        trained.append(weights_of(model))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_the_attention_loss_moves_chosen_heads_to_the_trigger(notes, tokenizer, encoder):
    options = BadCLMOptions(
        poison_rate=0.25, epochs=25, batch_size=8, max_length=32, learning_rate=3e-3, attention_weight=2.0
    )
    done = train_badclm(encoder, tokenizer, notes["text"], notes["label"], options)
    shares = [-step["attention"] for step in done.history.steps if step["attention"] != 0]
    assert np.mean(shares[:5]) < 0.2  # about 1 to 2 pieces of 12 tokens
    assert np.mean(shares[-5:]) > 0.6
    assert not encoder.training


def test_a_model_without_attention_weights_is_refused(notes, tokenizer, encoder, monkeypatch):
    monkeypatch.setattr(type(encoder), "set_attn_implementation", lambda self, name: None)
    encoder.config._attn_implementation = "sdpa"
    with pytest.raises(AttentionUnavailableError):
        train_badclm(encoder, tokenizer, notes["text"], notes["label"], OPTIONS)
