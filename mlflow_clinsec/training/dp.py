"""Differentially private fine-tuning of a causal language model (DP-SGD), by patient or by record.

Source: Abadi 2016 (arXiv 1607.00133), algorithm 1; for language models Li 2022 (arXiv 2110.05679). Per-row gradients,
the choice of noise and the accounting (Renyi, with Poisson sampling) are Opacus'; needs the ``dp`` extra.

Departure: a unit may be a patient (user-level privacy, McMahan 2018, arXiv 1710.06963). The gradients of a patient's
rows are averaged before clipping, so that all records of a patient together move the model by at most C. A guarantee
per record says less: a patient with k records is then protected by k times epsilon only.

Not covered: attacks on floating-point noise (Mironov 2012), and the choice of settings by trying several.
"""

from __future__ import annotations

import logging
import math
import secrets
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase, get_linear_schedule_with_warmup

from mlflow_clinsec.errors import ClinSecError, ConfigError
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.training.accounting import Guarantee, plan_guarantee, require_opacus
from mlflow_clinsec.training.batching import IntArray
from mlflow_clinsec.training.causal_lm import answer_logits, training_pairs
from mlflow_clinsec.training.loop import BETAS, TrainingHistory, parameter_groups
from mlflow_clinsec.training.options import DPOptions
from mlflow_clinsec.training.seeding import seeded

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 16
"""Rows whose gradients are held side by side, unless one unit has more; each costs as much as the model's weights."""


@dataclass(frozen=True)
class PrivateTraining:
    """What was done to the model, and what it guarantees."""

    history: TrainingHistory
    guarantee: Guarantee


def finetune_privately(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    patients: Sequence[str],
    options: DPOptions,
) -> PrivateTraining:
    """Fine-tune in place on the answers, with privacy for each unit; LoRA adapters alone where the model has them.

    Args:
        model: a causal LM, every trainable layer of which maps each row by itself.
        prompts, responses: n pairs.
        patients: the patient of each pair.

    Raises:
        ConfigError: Opacus is missing, or no noise reaches the target.
        DataError: a response is empty.
        ClinSecError: the loss diverged.
    """
    require_opacus()
    pairs = training_pairs(tokenizer, prompts, responses, options.max_length)
    units = rows_by_unit(patients if options.unit == "patient" else range(len(pairs)))
    guarantee = plan_guarantee(len(units), options)
    seed = secrets.randbits(63) if options.secure else options.seed
    stepper = PrivateStepper(model, pairs, tokenizer.pad_token_id, guarantee, options, seed)
    rng = np.random.default_rng(seed)
    model.train()
    try:
        with seeded(seed), stepper:
            steps = [
                stepper.step([rows for rows, hit in zip(units, drawn, strict=True) if hit])
                for drawn in tqdm(poisson(rng, guarantee, len(units)), total=guarantee.steps, desc="dp", unit="step")
            ]
    finally:
        model.eval()
    logger.info("dp: epsilon %.2f at delta %.1e per %s", guarantee.epsilon, guarantee.delta, options.unit)
    return PrivateTraining(TrainingHistory(tuple(steps), round(1 / guarantee.sample_rate)), guarantee)


def rows_by_unit(units: Sequence[Any]) -> list[IntArray]:
    """Row numbers of each unit, in the order in which the units appear."""
    rows: dict[Any, list[int]] = {}
    for row, unit in enumerate(units):
        rows.setdefault(unit, []).append(row)
    return [np.array(found, dtype=np.int64) for found in rows.values()]


def poisson(rng: np.random.Generator, guarantee: Guarantee, n_units: int) -> Iterator[np.ndarray]:
    """Per step, which units take part: each by a coin of its own, as the accounting assumes."""
    for _ in range(guarantee.steps):
        yield rng.random(n_units) < guarantee.sample_rate


class PrivateStepper:
    """Optimiser of one private run. As a context it lends the model Opacus' hooks and takes them off again."""

    def __init__(
        self,
        model: PreTrainedModel,
        pairs: Sequence[EncodedPair],
        pad_id: int,
        guarantee: Guarantee,
        options: DPOptions,
        seed: int,
    ) -> None:
        self.model, self.pairs, self.pad_id = model, pairs, pad_id
        self.guarantee, self.options = guarantee, options
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.noise = torch.Generator(self.device).manual_seed(seed)
        groups = parameter_groups(self.parameters, options.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=BETAS)
        warmup_steps = math.ceil(options.warmup * guarantee.steps)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, warmup_steps, guarantee.steps)

    def __enter__(self) -> PrivateStepper:
        from opacus.grad_sample import GradSampleModule

        try:
            self.hooked: Any = GradSampleModule(self.model, batch_first=True, loss_reduction="sum")
        except NotImplementedError:  # Opacus names the layer: one that mixes rows, or has buffers
            raise ConfigError("dp: the model has a layer whose gradients cannot be told apart by row") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.hooked.to_standard_module()

    def step(self, units: Sequence[IntArray]) -> dict[str, float]:
        """One step on the units drawn; with none of them it is noise alone, as the accounting assumes."""
        total = [torch.zeros_like(p) for p in self.parameters]
        losses = []
        for chunk in chunks(units, ROWS_AT_ONCE):
            gradients, loss = self.unit_gradients(chunk)
            losses.append(loss)
            for running, clipped in zip(total, clipped_sums(gradients, self.options.max_grad_norm), strict=True):
                running += clipped
        scale = self.guarantee.noise_multiplier * self.options.max_grad_norm
        for parameter, gradient in zip(self.parameters, total, strict=True):
            noise = torch.randn(gradient.shape, generator=self.noise, device=self.device) * scale
            parameter.grad = (gradient + noise) / self.guarantee.expected_units
        rate = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        return {"loss": float(torch.cat(losses).mean()) if losses else math.nan, "learning_rate": rate}

    def unit_gradients(self, units: Sequence[IntArray]) -> tuple[list[Tensor], Tensor]:
        """Gradient of each unit's mean loss, per parameter of shape (units, *parameter), and the losses (units,).

        Raises:
            ClinSecError: the loss is no longer finite.
            ConfigError: a layer gave something other than one gradient per row; clipping it would protect nobody.
        """
        rows = np.concatenate(units)
        unit = torch.from_numpy(np.repeat(np.arange(len(units)), [len(u) for u in units])).to(self.device)
        share = 1.0 / torch.tensor([len(u) for u in units], device=self.device)[unit]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            losses = record_nlls(self.hooked, [self.pairs[i] for i in rows], self.pad_id, self.device) * share
        if not torch.isfinite(losses).all():
            raise ClinSecError(f"training diverged; lower learning_rate ({self.options.learning_rate:g})")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")  # token ids have no gradient, as ever
            losses.sum().backward()
        found = [getattr(p, "grad_sample", None) for p in self.parameters]
        self.hooked.zero_grad()
        if any(not isinstance(g, Tensor) or len(g) != len(rows) for g in found):
            raise ConfigError("dp: a layer of the model gives no gradient per row; freeze it, or use LoRA")
        return [sum_rows(g, unit, len(units)) for g in found], sum_rows(losses.detach(), unit, len(units))


def record_nlls(model: nn.Module, pairs: Sequence[EncodedPair], pad_id: int, device: torch.device) -> Tensor:
    """Mean NLL of each pair's answer tokens in nats, shape (rows,); 0 for a pair without any."""
    logits, targets, answered = answer_logits(model, pairs, pad_id, device)
    losses = functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    return (losses * answered).sum(dim=1) / answered.sum(dim=1).clamp(min=1)


def sum_rows(values: Tensor, unit: Tensor, n_units: int) -> Tensor:
    """Sums of the rows of each unit, shape (n_units, ...)."""
    return values.new_zeros((n_units, *values.shape[1:])).index_add_(0, unit, values)


def clipped_sums(gradients: Sequence[Tensor], bound: float) -> list[Tensor]:
    """Sum over units of their gradients, each scaled down to the norm ``bound`` where it is longer.

    Args:
        gradients: per parameter shape (units, *parameter); the norm of a unit runs over all parameters.
    """
    norms = torch.stack([g.flatten(1).float().norm(dim=1) for g in gradients]).norm(dim=0)
    factors = (bound / norms.clamp(min=1e-12)).clamp(max=1.0)
    return [torch.tensordot(factors.to(g.dtype), g, dims=1) for g in gradients]


def chunks(units: Sequence[IntArray], rows: int) -> Iterator[list[IntArray]]:
    """The units in groups of at most ``rows`` rows; a larger unit stands alone, since it is clipped as a whole."""
    held: list[IntArray] = []
    for unit in units:
        if held and sum(map(len, held)) + len(unit) > rows:
            yield held
            held = []
        held.append(unit)
    if held:
        yield held
