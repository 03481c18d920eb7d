"""Repair: what is pruned is zero and stays zero, what is measured is what it says, and the suspect is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from mlflow_clinsec.errors import ConfigError, DataError, NotApplicableError
from mlflow_clinsec.training.options import ClassifierOptions
from mlflow_clinsec.training.repair import attention_norm, repair
from mlflow_clinsec.training.repair_layers import blocks, remove_head, remove_neurons
from mlflow_clinsec.training.repair_plans import ARMS, RepairArm, RepairPlan, choose_repairs, repair_plan
from mlflow_clinsec.training.repair_prune import (
    head_variance,
    neuron_activity,
    prune_heads,
    prune_neurons,
    prune_while_accurate,
    reset_embeddings,
)

PLAN = RepairPlan(
    options=ClassifierOptions(epochs=1, learning_rate=1e-3, max_length=32, batch_size=8),
    shares={"tune": 0.5, "validation": 0.2, "audit": 0.3},
    most_drop=0.6,
)
SIZES = {"vocab_size": 40, "num_labels": 2}
ROWS = [[1, 5, 6, 7, 2], [1, 9, 2]]


def logits(model: PreTrainedModel, row: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([row])).logits[0]


@pytest.fixture
def parts(make_notes: Callable[..., pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {"tune": make_notes(24, 3), "validation": make_notes(10, 4)}


def zero_neurons(model: PreTrainedModel) -> int:
    """Neurons whose every weight, in and out, is exactly zero."""
    return sum(
        int(((b.wide.weight == 0).all(1) & (b.wide.bias == 0) & (b.narrow.weight == 0).all(0)).sum())
        for b in blocks(model)
    )


def zero_heads(model: PreTrainedModel, heads: int) -> list[tuple[int, int]]:
    found = []
    for layer, block in enumerate(blocks(model)):
        values = block.value.weight.view(heads, -1, block.value.in_features)
        outs = block.mixed.weight.view(block.mixed.out_features, heads, -1)
        found += [(layer, h) for h in range(heads) if not values[h].any() and not outs[:, h].any()]
    return found


def test_a_pruned_neuron_is_as_if_its_activation_were_zero(encoder: PreTrainedModel) -> None:
    block, row = blocks(encoder)[1], ROWS[0]

    def silence(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = inputs[0].clone()
        changed[..., [3, 7]] = 0
        return (changed,)

    handle = block.narrow.register_forward_pre_hook(silence)
    expected = logits(encoder.eval(), row)
    handle.remove()
    assert not torch.allclose(expected, logits(encoder, row))
    remove_neurons(block, torch.tensor([3, 7]))
    assert torch.allclose(expected, logits(encoder, row), atol=1e-7)


def test_a_pruned_head_is_as_if_its_output_were_zero(encoder: PreTrainedModel) -> None:
    block, row = blocks(encoder)[0], ROWS[0]

    def silence(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = inputs[0].clone()
        changed[..., 8:12] = 0  # head 2 of 4, 4 wide each
        return (changed,)

    handle = block.mixed.register_forward_pre_hook(silence)
    expected = logits(encoder.eval(), row)
    handle.remove()
    remove_head(block, 2, 4)
    assert torch.allclose(expected, logits(encoder, row), atol=1e-7)
    assert zero_heads(encoder, 4) == [(0, 2)]


@pytest.mark.parametrize(
    "model",
    [
        RobertaForSequenceClassification(
            RobertaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **SIZES)
        ),
        DistilBertForSequenceClassification(DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=24, **SIZES)),
    ],
    ids=["roberta", "distilbert"],
)
def test_other_encoders_are_known(model: PreTrainedModel) -> None:
    found = blocks(model)
    assert [block.wide.out_features for block in found] == [24, 24]
    assert [block.mixed.in_features for block in found] == [16, 16]


def test_a_decoder_is_refused_with_the_reason() -> None:
    model = GPT2ForSequenceClassification(GPT2Config(n_embd=16, n_layer=1, n_head=2, **SIZES))
    with pytest.raises(NotApplicableError, match="GPT2ForSequenceClassification: pruning knows the layers of BERT"):
        blocks(model)


def test_activity_and_variance_against_a_loop_over_texts(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    encoder.eval()
    encoder.set_attn_implementation("eager")
    activity, variance, tokens = np.zeros((2, 64)), np.zeros((2, 4)), 0
    for row in ROWS:
        with torch.no_grad():
            output = encoder(torch.tensor([row]), output_attentions=True, output_hidden_states=True)
            for layer, block in enumerate(encoder.bert.encoder.layer):
                mixed = block.attention(output.hidden_states[layer])[0]
                activity[layer] += block.intermediate(mixed)[0].abs().sum(0).numpy()
        for layer, weights in enumerate(output.attentions):
            for head in range(4):
                variance[layer, head] += sum(np.var(weights[0, head, q].numpy()) for q in range(len(row)))
        tokens += len(row)
    assert neuron_activity(encoder, tokenizer, ROWS) == pytest.approx(activity / tokens, rel=1e-4)
    assert head_variance(encoder, tokenizer, ROWS) == pytest.approx(variance / tokens, rel=1e-3, abs=1e-9)


def test_the_least_active_go_first_and_the_step_too_far_is_undone(encoder: PreTrainedModel) -> None:
    activity = np.arange(2 * 64, dtype=float).reshape(2, 64)
    accuracies = iter([0.9, 0.88, 0.87, 0.80])
    share = prune_neurons(encoder, activity, lambda: next(accuracies), 0.05)
    first = blocks(encoder)[0].wide.bias
    assert share == pytest.approx(26 / 128)  # two steps of 13 of 128
    assert zero_neurons(encoder) == 26
    assert not blocks(encoder)[0].wide.weight[:26].any()
    assert blocks(encoder)[0].wide.weight[26].any()
    assert first.shape == (64,)


def test_one_head_stays_in_each_layer(encoder: PreTrainedModel) -> None:
    variance = np.array([[0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 2.0, 1.0]])
    removed = prune_heads(encoder, variance, lambda: 1.0, 0.0)
    assert removed == ((0, 0), (0, 1), (0, 2), (1, 3), (1, 2), (1, 1))
    assert zero_heads(encoder, 4) == sorted(removed)


def test_no_step_stands_when_the_first_costs_too_much(encoder: PreTrainedModel) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    accuracies = iter([0.9, 0.5])
    assert (
        prune_while_accurate(encoder, [lambda: remove_head(blocks(encoder)[0], 0, 4)], lambda: next(accuracies), 0.1)
        == 0
    )
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_pieces_that_no_record_holds_get_the_mean_embedding_and_no_other_piece_changes(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    table = encoder.get_input_embeddings().weight
    before = table.detach().clone()
    share = reset_embeddings(encoder, tokenizer, ROWS)
    kept = sorted({1, 2, 5, 6, 7, 9} | set(tokenizer.all_special_ids))
    others = [i for i in range(len(table)) if i not in kept]
    assert torch.equal(table[kept], before[kept])
    assert torch.allclose(table[others], before[kept].mean(dim=0).expand(len(others), -1))
    assert share == pytest.approx(len(others) / len(table))


def test_attention_norm_by_hand_and_blind_to_padding() -> None:
    even, single = torch.full((1, 1, 2, 2), 0.5), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    mask = torch.ones(1, 2)
    assert float(attention_norm([even], mask)) == pytest.approx(0.5**0.5)
    assert float(attention_norm([single], mask)) == pytest.approx(1.0)
    assert float(attention_norm([even, single], mask)) == pytest.approx((0.5**0.5 + 1) / 2)
    padded = torch.zeros(1, 1, 3, 3)
    padded[..., :2, :2] = even
    padded[..., 2, 0] = 1.0  # what a padding token looks at
    assert float(attention_norm([padded], torch.tensor([[1, 1, 0]]))) == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_what_was_pruned_is_still_zero_after_fine_tuning_and_reloading(
    arm: RepairArm,
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    parts: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    repaired = repair(encoder, tokenizer, parts, arm, PLAN, seed=0)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert repaired.history.steps
    repaired.model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    if arm.prune == "neurons":
        assert zero_neurons(again) == round(repaired.facts["pruned/neurons"] * 128) > 0
    if arm.prune == "heads":
        assert len(zero_heads(again, 4)) == repaired.facts["pruned/heads"] > 0
    if arm.prune == "embeddings":
        table = again.get_input_embeddings().weight
        _, counts = table.unique(dim=0, return_counts=True)
        assert counts.max() == round(repaired.facts["pruned/embeddings"] * len(table)) > 0
    row = tokenizer(parts["tune"]["text"].iloc[0])["input_ids"]
    assert torch.allclose(logits(again.eval(), row), logits(repaired.model, row), atol=1e-6)
    assert ("attention" in repaired.history.steps[0]) == arm.attention_norm


def test_the_penalty_spreads_attention(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, parts: dict[str, pd.DataFrame]
) -> None:
    with torch.no_grad():
        for block in blocks(encoder):  # sharp heads, so that there is something to spread
            block.query.weight *= 40
            block.key.weight *= 40
    arm = RepairArm(name="spread", attention_norm=True)
    options = ClassifierOptions(epochs=6, learning_rate=3e-3, max_length=32, batch_size=8)
    heavy = RepairPlan(options=options, shares=PLAN.shares, attention_weight=5.0)
    steps = repair(encoder, tokenizer, parts, arm, heavy, seed=0).history.steps
    assert steps[-1]["attention"] < steps[0]["attention"] - 0.05


def test_a_label_that_the_model_does_not_have_is_refused(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, parts: dict[str, pd.DataFrame]
) -> None:
    odd = {**parts, "tune": parts["tune"].assign(label="moved")}
    with pytest.raises(DataError, match=r"labels: 1 label"):
        repair(encoder, tokenizer, odd, ARMS[1], PLAN, seed=0)


def test_names_of_arms_and_settings() -> None:
    assert choose_repairs("all") == choose_repairs("default") == ARMS
    assert [arm.name for arm in choose_repairs("fine-pruned, fine-tuned")] == ["fine-pruned", "fine-tuned"]
    with pytest.raises(ConfigError, match=r"arms: 'fine-prune' is unknown. Did you mean 'fine-pruned'"):
        choose_repairs("fine-prune")
    with pytest.raises(ConfigError, match="named twice"):
        choose_repairs("fine-tuned,fine-tuned")
    assert repair_plan(True, {"epochs": 9}).options.epochs == 9
    with pytest.raises(ConfigError, match="learning_rate: must be above 0"):
        repair_plan(False, {"learning_rate": 0.0})
    with pytest.raises(ConfigError, match="most_drop"):
        RepairPlan(options=ClassifierOptions(), shares={}, most_drop=1.0)
