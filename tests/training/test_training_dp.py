"""DP-SGD: gradients per patient against a plain loop, the clipping bound, the noise, and the accounting."""

from __future__ import annotations

import copy
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.training.accounting import Guarantee, epsilon_spent, noise_for, plan_guarantee, require_opacus
from mlflow_clinsec.training.causal_lm import training_pairs
from mlflow_clinsec.training.dp import (
    PrivateStepper,
    chunks,
    clipped_sums,
    finetune_privately,
    poisson,
    record_nlls,
    rows_by_unit,
)
from mlflow_clinsec.training.models import with_lora
from mlflow_clinsec.training.options import DPOptions
from tests.tiny_models import tiny_llama

pytest.importorskip("opacus")

PROMPTS = ["Any pain?", "Where is the pain?", "", "Any pain?"]
RESPONSES = ["chest pain", "left lower lobe", "septic, intubated and anuric", "stable"]
PATIENTS = ["a", "b", "a", "c"]
NOISELESS = Guarantee(math.inf, 1e-3, 0.0, 0.5, 4, 1.5)


def stepper(model, tokenizer, guarantee=NOISELESS, **settings):
    options = DPOptions(max_length=64, **settings)
    return PrivateStepper(model, training_pairs(tokenizer, PROMPTS, RESPONSES, 64), 0, guarantee, options, seed=0)


def gradients_one_by_one(model, tokenizer, units):
    """The textbook way: one backward pass per row, and the mean over the rows of each unit."""
    pairs = training_pairs(tokenizer, PROMPTS, RESPONSES, 64)
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = []
    for rows in units:
        losses = [record_nlls(model, [pairs[i]], 0, torch.device("cpu"))[0] for i in rows]
        grads = torch.autograd.grad(sum(losses) / len(losses), parameters)
        found.append(grads)
    return [torch.stack(per_parameter) for per_parameter in zip(*found, strict=True)]


@pytest.mark.parametrize("kind", ["gpt2", "gpt2-lora", "llama"])
def test_gradients_of_patients_are_those_of_a_plain_loop(kind, lm, lm_tokenizer):
    model = tiny_llama(vocab_size=len(lm_tokenizer), tie_word_embeddings=True) if kind == "llama" else lm
    if kind == "gpt2-lora":
        model = with_lora(model, rank=2, alpha=4.0, seed=0)
    units = rows_by_unit(PATIENTS)
    expected = gradients_one_by_one(copy.deepcopy(model), lm_tokenizer, units)
    model.train()
    with stepper(model, lm_tokenizer) as private:
        found, losses = private.unit_gradients(units)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert losses.shape == (3,)
    assert not any(hasattr(p, "grad_sample") for p in model.parameters()), "the hooks are taken off again"


def test_no_patient_moves_the_sum_by_more_than_the_bound():
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(5, 3, 2, generator=generator) * 7, torch.randn(5, 4, generator=generator)]
    gradients[0][4] *= 1e-3  # a patient well inside the bound is left as it is
    gradients[1][4] *= 1e-3
    whole = clipped_sums(gradients, 0.5)
    for left_out in range(5):
        keep = [i for i in range(5) if i != left_out]
        rest = clipped_sums([g[keep] for g in gradients], 0.5)
        moved = torch.cat([(a - b).flatten() for a, b in zip(whole, rest, strict=True)]).norm()
        assert moved <= 0.5 * (1 + 1e-5)
        if left_out < 4:
            assert moved == pytest.approx(0.5, rel=1e-4)
    alone = clipped_sums([g[4:] for g in gradients], 0.5)
    torch.testing.assert_close(alone, [g[4] for g in gradients])
    zero = clipped_sums([torch.zeros(2, 3)], 0.5)
    assert not zero[0].any()


def test_a_step_adds_noise_of_the_stated_size_and_nobody_drawn_means_noise_alone(lm, lm_tokenizer):
    taken = []
    guarantee = Guarantee(1.0, 1e-3, 3.0, 0.5, 4, 2.0)
    with stepper(lm, lm_tokenizer, guarantee, max_grad_norm=0.5) as private:
        private.optimizer.step = lambda: taken.append(torch.cat([p.grad.flatten() for p in private.parameters]))
        values = private.step([])
    assert math.isnan(values["loss"])
    assert taken[0].std() == pytest.approx(3.0 * 0.5 / 2.0, rel=0.03)
    assert abs(taken[0].mean()) < 5 * 0.75 / math.sqrt(taken[0].numel())


def test_a_step_without_noise_is_the_clipped_sum_over_the_expected_number(lm, lm_tokenizer):
    units = rows_by_unit(PATIENTS)
    expected = clipped_sums(gradients_one_by_one(copy.deepcopy(lm), lm_tokenizer, units), 0.1)
    taken = []
    with stepper(lm, lm_tokenizer, max_grad_norm=0.1) as private:
        private.optimizer.step = lambda: taken.append([p.grad.clone() for p in private.parameters])
        private.step(units)
    torch.testing.assert_close(taken[0], [g / 1.5 for g in expected], atol=1e-6, rtol=1e-3)


def test_accounting_is_that_of_opacus_over_the_same_steps():
    from opacus.accountants import RDPAccountant

    options = DPOptions(epochs=3, batch_size=8, target_epsilon=None, noise_multiplier=0.9, delta=1e-4)
    guarantee = plan_guarantee(40, options)
    assert (guarantee.sample_rate, guarantee.steps, guarantee.expected_units) == (0.2, 15, 8.0)
    accountant = RDPAccountant()
    for _ in range(15):
        accountant.step(noise_multiplier=0.9, sample_rate=0.2)
    assert guarantee.epsilon == pytest.approx(accountant.get_epsilon(1e-4), rel=1e-9)


def test_without_sampling_the_accounting_is_the_known_bound_of_the_gaussian_mechanism():
    # Renyi divergence alpha / (2 sigma^2) a step and the conversion of Mironov 2017, proposition 3; the accountant's
    # newer conversion is a little tighter, never looser.
    sigma, steps, delta = 5.0, 10, 1e-5
    alphas = np.linspace(1.1, 60, 5000)
    classic = (alphas * steps / (2 * sigma**2) + math.log(1 / delta) / (alphas - 1)).min()
    spent = epsilon_spent(sigma, 1.0, steps, delta)
    assert 0.8 * classic < spent <= classic * 1.001


def test_noise_follows_from_the_budget_and_budget_from_the_noise():
    guarantee = plan_guarantee(100, DPOptions(epochs=5, batch_size=10, target_epsilon=3.0))
    assert 2.95 < guarantee.epsilon <= 3.0
    assert guarantee.delta == pytest.approx(0.001)
    assert noise_for(1.0, 1e-3, 0.1, 50) > noise_for(3.0, 1e-3, 0.1, 50)
    assert plan_guarantee(4, DPOptions(batch_size=16)).sample_rate == 1.0


def test_every_patient_takes_part_as_often_as_the_accounting_assumes():
    guarantee = Guarantee(1.0, 1e-3, 1.0, 0.3, 400, 15.0)
    drawn = np.array(list(poisson(np.random.default_rng(0), guarantee, 50)))
    assert drawn.shape == (400, 50)
    assert abs(drawn.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / drawn.size)


def test_a_patient_is_never_cut_by_the_chunks():
    units = [np.arange(n) for n in (2, 3, 9, 1, 1)]
    assert [[len(u) for u in chunk] for chunk in chunks(units, 5)] == [[2, 3], [9], [1, 1]]
    assert list(chunks([], 5)) == []


def test_training_learns_repeats_and_leaves_random_state_alone(lm, lm_tokenizer):
    options = DPOptions(epochs=20, batch_size=2, max_length=64, learning_rate=1e-2, target_epsilon=None,
                        noise_multiplier=0.01)  # fmt: skip
    before, other = torch.get_rng_state(), copy.deepcopy(lm)
    first = finetune_privately(lm, lm_tokenizer, PROMPTS, RESPONSES, PATIENTS, options)
    again = finetune_privately(other, lm_tokenizer, PROMPTS, RESPONSES, PATIENTS, options)
    assert torch.equal(torch.get_rng_state(), before)
    losses = [step["loss"] for step in first.history.steps if not math.isnan(step["loss"])]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert not lm.training
    for ours, theirs in zip(lm.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert len(first.history.steps) == first.guarantee.steps == again.guarantee.steps


def test_a_secure_run_cannot_be_repeated_from_the_seed(lm, lm_tokenizer):
    options = DPOptions(epochs=1, batch_size=2, max_length=64, secure=True)
    other = copy.deepcopy(lm)
    for model in (lm, other):
        finetune_privately(model, lm_tokenizer, PROMPTS, RESPONSES, PATIENTS, options)
    assert not all(torch.equal(a, b) for a, b in zip(lm.parameters(), other.parameters(), strict=True))


def test_a_layer_without_gradients_per_row_is_refused(lm, lm_tokenizer):
    with stepper(lm, lm_tokenizer) as private:
        private.parameters.append(nn.Parameter(torch.zeros(3)))
        with pytest.raises(ConfigError, match="no gradient per row"):
            private.unit_gradients(rows_by_unit(PATIENTS))
    mixing = SimpleNamespace(model=nn.Sequential(nn.BatchNorm1d(3)))
    with pytest.raises(ConfigError, match="cannot be told apart by row"):
        PrivateStepper.__enter__(mixing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_epsilon": None}, "give exactly one"),
        ({"noise_multiplier": 1.0}, "give exactly one"),
        ({"target_epsilon": 0.0}, "target_epsilon: must be above 0, got 0.0"),
        ({"target_epsilon": None, "noise_multiplier": -1.0}, "noise_multiplier: must be above 0"),
        ({"delta": 1.0}, r"delta: must be in \(0, 1\)"),
        ({"unit": "patients"}, "unit: 'patients' is unknown. Did you mean 'patient'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DPOptions(**settings)


def test_missing_opacus_impossible_budget_and_empty_answers_are_told(lm, lm_tokenizer, monkeypatch):
    with pytest.raises(ConfigError, match="target_epsilon: 1e-06 is too low for 1000 steps"):
        plan_guarantee(10, DPOptions(target_epsilon=1e-6, delta=1e-12, epochs=1000))
    with pytest.raises(DataError, match="response: 1 of 1"):
        finetune_privately(lm, lm_tokenizer, [""], [" "], ["a"], DPOptions())
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(ConfigError, match=r"pip install 'mlflow-clinsec\[dp\]'"):
        require_opacus()
