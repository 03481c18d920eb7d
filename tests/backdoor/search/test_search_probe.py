from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from search_fakes import weights_of

from mlflow_clinsec.backdoor.search.probe import Probe, differentiable, log_odds
from mlflow_clinsec.targets.protocols import ClassifierWeights

ROWS = [np.array([2, 5, 6, 7, 3]), np.array([2, 8, 3]), np.array([2, 9, 10, 11, 12, 13, 3])]
PLACES = [1, 1, 4]


def probe(model: Any = None, goal: int = 0) -> Probe:
    return Probe(weights_of(model or tiny.tiny_bert(), batch_tokens=14), goal)


def test_log_odds_are_those_of_each_row_alone() -> None:
    asked = probe(goal=1)
    for row, found in zip(ROWS, asked.log_odds(ROWS), strict=True):
        with torch.no_grad():
            logits = asked.weights.model(torch.as_tensor(row)[None]).logits[0].double()
        p = float(torch.softmax(logits, 0)[1])
        assert found == pytest.approx(math.log(p / (1 - p)), abs=1e-4)


def test_log_odds_of_one_label_against_several_others() -> None:
    logits = torch.tensor([[1.0, 2.0, -1.0]])
    p = math.exp(2) / (math.exp(1) + math.exp(2) + math.exp(-1))
    assert float(log_odds(logits, 1)) == pytest.approx(math.log(p / (1 - p)), abs=1e-6)


def test_gradients_match_autograd_on_each_row_alone() -> None:
    asked = probe()
    found = asked.gradients(ROWS, PLACES)
    model = asked.weights.model
    for row, place, gradient in zip(ROWS, PLACES, found, strict=True):
        embedded = model.get_input_embeddings()(torch.as_tensor(row)[None]).detach().requires_grad_()
        logits = model(inputs_embeds=embedded).logits[0]
        (logits[0] - logits[1]).backward()
        np.testing.assert_allclose(gradient, embedded.grad[0, place].numpy(), rtol=1e-3, atol=1e-4)


def test_gradients_match_finite_differences() -> None:
    asked = probe()
    row, place, step = ROWS[0], 2, 1e-2
    [gradient] = asked.gradients([row], [place])
    own = asked.embedded(row[[place]])
    for coordinate in range(own.shape[1]):
        shift = torch.zeros_like(own)
        shift[0, coordinate] = step
        with differentiable(asked.weights.model):
            up, down = (float(asked.mixed_log_odds([row], np.array([place]), own + sign * shift)) for sign in (1, -1))
        assert gradient[coordinate] == pytest.approx((up - down) / (2 * step), rel=0.05, abs=2e-2)


def test_mixed_embeddings_of_whole_pieces_are_the_pieces() -> None:
    asked = probe()
    changed = [row.copy() for row in ROWS]
    for row, place in zip(changed, PLACES, strict=True):
        row[place] = 15
    with differentiable(asked.weights.model):
        mixed = asked.mixed_log_odds(ROWS, np.array(PLACES), asked.embedded(np.array([15])))
    np.testing.assert_allclose(mixed.detach().numpy(), asked.log_odds(changed), atol=1e-4)


def test_models_that_find_their_end_by_token_ids_are_read_right() -> None:
    weights = ClassifierWeights(tiny.tiny_gpt2_classifier(), tiny.word_tokenizer(), ("alive", "died"), 32)
    asked = Probe(weights, 0)
    rows = [np.array([5, 6, 7]), np.array([8, 9])]
    together, alone = asked.gradients(rows, [0, 0]), [asked.gradients([row], [0])[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5)
    assert np.abs(together).max() > 1e-3


def test_model_is_left_as_it_was() -> None:
    model = tiny.tiny_bert().train()
    model.classifier.weight.requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    asked = probe(model)
    asked.gradients(ROWS, PLACES)
    asked.log_odds(ROWS)
    assert model.training
    assert all(module.training for module in model.modules())
    assert not model.classifier.weight.requires_grad
    assert all(w.requires_grad for name, w in model.named_parameters() if name != "classifier.weight")
    assert all(weight.grad is None for weight in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
