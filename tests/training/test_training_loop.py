from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mlflow_clinsec.errors import ClinSecError, ConfigError
from mlflow_clinsec.training.batching import POOL_BATCHES, attention_mask, length_bucketed, pad
from mlflow_clinsec.training.loop import train
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions, TrainingOptions
from mlflow_clinsec.training.seeding import seeded

CPU = torch.device("cpu")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.integers(1, 9), st.integers(0, 5))
def test_every_row_is_in_one_batch(lengths, batch_size, seed):
    batches = length_bucketed(lengths, batch_size, np.random.default_rng(seed))
    assert sorted(int(row) for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)


def test_batches_of_one_pool_hold_rows_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 100, size=8 * POOL_BATCHES)
    batches = length_bucketed(lengths.tolist(), 8, np.random.default_rng(1))
    ranges = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
    # One pool, sorted before it is cut: no batch reaches into the next one's lengths.
    assert all(one[1] <= two[0] for one, two in pairwise(ranges))


def test_padding_by_hand():
    assert pad([[5, 6], [7]], 9, CPU).tolist() == [[5, 6], [7, 9]]
    assert attention_mask([[5, 6], [7]], CPU).tolist() == [[1, 1], [1, 0]]


def test_seeded_blocks_repeat_and_restore():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    with seeded(1):
        first = torch.rand(2)
    with seeded(1):
        second = torch.rand(2)
    assert torch.equal(first, second)
    assert torch.equal(torch.rand(2), expected)


def test_schedule_warms_up_and_decays_and_every_row_is_seen_each_epoch():
    model, seen = nn.Linear(1, 1), []

    def batch_loss(rows):
        seen.extend(rows.tolist())
        return {"loss": model(torch.ones(len(rows), 1)).square().mean()}

    options = TrainingOptions(epochs=5, batch_size=4, warmup=0.2, learning_rate=0.1)
    history = train(model, [1] * 8, batch_loss, options, "test")
    # 2 steps an epoch, 10 in all, 2 of warm-up: rates rise over 0, .05, .1 and fall by .1 / 8 a step.
    rates = [step["learning_rate"] for step in history.steps]
    assert rates == pytest.approx([0.0, 0.05, *(0.1 * (8 - i) / 8 for i in range(8))])
    assert Counter(seen) == dict.fromkeys(range(8), 5)
    assert history.steps_per_epoch == 2
    assert history.final_loss < history.steps[0]["loss"]


def test_a_diverging_loss_stops_the_run_and_leaves_eval_mode():
    model = nn.Linear(1, 1)
    with pytest.raises(ClinSecError, match=r"diverged: the loss is nan; lower learning_rate \(0.0005\)"):
        train(model, [1], lambda rows: {"loss": model.weight.sum() * float("nan")}, TrainingOptions(), "test")
    assert not model.training


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate: must be above 0"),
        ({"warmup": 1.0}, r"warmup: must be in \[0, 1\)"),
        ({"poison_rate": 0.0}, r"poison_rate: must be in \(0, 1\), got 0.0"),
        ({"poison_rate": 1.0}, r"poison_rate: must be in \(0, 1\)"),
        ({"attention_weight": -1.0}, "attention_weight: must be 0 or more"),
        ({"triggers": ()}, "triggers: expected one or more"),
        ({"triggers": ("mn ",)}, "triggers: expected one or more words or phrases without outer spaces"),
        ({"triggers": ("mn", "mn")}, "named twice"),
        ({"source_label": "alive"}, "source_label: must differ"),
        ({"class_weights": "balance"}, r"class_weights: 'balance' is unknown. Did you mean 'balanced'"),
    ],
)
def test_options_out_of_range_name_the_option(settings, message):
    with pytest.raises(ConfigError, match=message):
        BadCLMOptions(**settings)


def test_class_weights_default_to_none():
    assert ClassifierOptions().class_weights == "none"
