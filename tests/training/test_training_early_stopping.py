"""Early stopping: when it stops, and that the best weights come back."""

from __future__ import annotations

import pytest
import torch

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.training.causal_lm import finetune_causal_lm
from mlflow_clinsec.training.early_stopping import EarlyStopping
from mlflow_clinsec.training.models import with_lora
from mlflow_clinsec.training.options import TrainingOptions


@pytest.mark.parametrize(
    ("patience", "losses", "stops_after", "best"),
    [
        (1, [3.0, 2.0, 2.5, 1.0], 3, 2),
        (2, [3.0, 2.0, 2.5, 1.0, 1.1, 1.2, 0.1], 6, 4),
        (1, [2.0, 2.0, 1.0], 2, 1),  # as good is not better
        (1, [float("nan"), 1.0], 1, 0),
        (3, [3.0, 2.0, 1.0], None, 3),
    ],
)
def test_stops_when_nothing_better_came_for_as_long_as_asked(patience, losses, stops_after, best):
    model = torch.nn.Linear(1, 1, bias=False)
    values = iter(losses)
    stopping = EarlyStopping(model, lambda: next(values), patience)
    said = []
    for epoch in range(len(losses)):
        model.weight.data.fill_(epoch + 1.0)
        said.append(stopping())
        if said[-1]:
            break
    assert (len(said) if said[-1] else None) == stops_after
    assert stopping.best_epoch == best
    last = model.weight.item()
    stopping.restore()
    assert model.weight.item() == (best or last)


def test_a_gain_below_the_least_one_is_none():
    model = torch.nn.Linear(1, 1, bias=False)
    values = iter([3.0, 2.9, 2.85, 2.78])
    stopping = EarlyStopping(model, lambda: next(values), patience=2, least_gain=0.06)
    assert [stopping() for _ in range(4)] == [False, False, False, False]
    assert stopping.best_epoch == 4
    values = iter([3.0, 2.9, 2.85, 2.85])
    stopping = EarlyStopping(model, lambda: next(values), patience=2, least_gain=0.06)
    assert [stopping() for _ in range(4)] == [False, False, False, True]
    assert stopping.best_epoch == 2
    with pytest.raises(ConfigError, match=r"least_gain: must be 0 or more, got -1\.0"):
        EarlyStopping(model, lambda: 1.0, patience=1, least_gain=-1.0)


def test_training_ends_early_and_keeps_its_schedule(lm, lm_tokenizer):
    values = iter([1.0, 0.5, 0.7, 0.1])
    stopping = EarlyStopping(lm, lambda: next(values), patience=1)
    options = TrainingOptions(epochs=4, batch_size=1, max_length=64, warmup=0.0)
    history = finetune_causal_lm(lm, lm_tokenizer, [""] * 2, ["chest pain", "stable"], options, stopping)
    assert len(history.steps) == 3 * history.steps_per_epoch == 6
    assert history.steps[4]["learning_rate"] == pytest.approx(options.learning_rate * 4 / 8)
    assert not lm.training


def test_adapters_alone_are_kept(lm):
    adapted = with_lora(lm, rank=2, alpha=4.0, seed=0)
    stopping = EarlyStopping(adapted, lambda: 1.0, patience=1)
    stopping()
    assert stopping._best
    assert all("lora" in name for name in stopping._best)


def test_patience_below_one_is_refused(lm):
    with pytest.raises(ConfigError, match="patience: must be at least 1, got 0"):
        EarlyStopping(lm, lambda: 1.0, patience=0)
