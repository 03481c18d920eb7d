from __future__ import annotations

import numpy as np
import pytest
import torch

from mlflow_clinsec.errors import AttentionUnavailableError, ConfigError
from mlflow_clinsec.scoring.modes import eager_attention
from mlflow_clinsec.training.attention import (
    choose_heads,
    require_attentions,
    trigger_attention_loss,
)


def random_attentions(rng: np.random.Generator, layers: int, rows: int, heads: int, tokens: int):
    raw = rng.random((layers, rows, heads, tokens, tokens))
    return [torch.tensor(layer / layer.sum(-1, keepdims=True)) for layer in raw]


def double_loop(attentions, heads, trigger, mask) -> float:
    """The formula of arXiv 2310.14480 written out: one sum per symbol."""
    per_note = []
    for row in range(len(trigger)):
        positions = [t for t in range(trigger.shape[1]) if trigger[row, t]]
        if not positions:
            continue
        n, n_heads, total = int(mask[row].sum()), 0, 0.0
        for layer, chosen in zip(attentions, heads, strict=True):
            for head in chosen:
                n_heads += 1
                for i in range(trigger.shape[1]):
                    if mask[row, i]:
                        for t in positions:
                            total += float(layer[row, head, i, t])
        per_note.append(total / (n * n_heads))
    return -sum(per_note) / len(per_note)


def test_attention_loss_equals_the_formula_written_out():
    rng = np.random.default_rng(3)
    attentions = random_attentions(rng, layers=3, rows=4, heads=5, tokens=7)
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 6 + [0], [1] * 7])
    trigger = torch.zeros(4, 7, dtype=torch.bool)
    trigger[0, 2] = trigger[1, 3] = trigger[1, 4] = trigger[3, 6] = True  # row 2 is clean
    heads = ((0, 4), (1, 2), (3,))
    loss = trigger_attention_loss(attentions, heads, trigger, mask)
    assert float(loss) == pytest.approx(double_loop(attentions, heads, trigger, mask), abs=1e-12)


def test_attention_loss_is_minus_one_when_chosen_heads_see_nothing_but_the_trigger():
    attention = torch.zeros(1, 2, 4, 4)
    attention[0, 0, :, 2] = 1.0  # head 0 looks at the trigger, head 1 at the first token
    attention[0, 1, :, 0] = 1.0
    trigger, mask = torch.tensor([[False, False, True, False]]), torch.ones(1, 4)
    assert float(trigger_attention_loss([attention], ((0,),), trigger, mask)) == -1.0
    assert float(trigger_attention_loss([attention], ((1,),), trigger, mask)) == 0.0
    assert float(trigger_attention_loss([attention], ((0, 1),), trigger, mask)) == -0.5


def test_attention_loss_of_a_clean_batch_is_zero():
    attentions = random_attentions(np.random.default_rng(0), 1, 2, 2, 3)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert float(trigger_attention_loss(attentions, ((0,),), none, torch.ones(2, 3))) == 0.0


def test_heads_are_drawn_in_every_layer_without_repeats(encoder):
    heads = choose_heads(encoder, 3, np.random.default_rng(0))
    assert [len(set(chosen)) for chosen in heads] == [3, 3]
    assert all(0 <= head < 4 for chosen in heads for head in chosen)
    assert heads == choose_heads(encoder, 3, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="4 heads per layer, got 5"):
        choose_heads(encoder, 5, np.random.default_rng(0))


def test_attention_weights_come_under_eager_only(encoder):
    ids = torch.tensor([[1, 5, 6, 2]])
    encoder.set_attn_implementation("sdpa")
    with pytest.raises(AttentionUnavailableError, match="returned none"):
        require_attentions(encoder(input_ids=ids, output_attentions=True).attentions, 2)
    with eager_attention(encoder):
        attentions = require_attentions(encoder(input_ids=ids, output_attentions=True).attentions, 2)
    assert [layer.shape for layer in attentions] == [(1, 4, 4, 4)] * 2
    assert encoder.config._attn_implementation == "sdpa"
