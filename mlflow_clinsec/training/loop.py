"""One plain training loop: AdamW, linear warm-up and decay, gradient clipping, length-bucketed batches.

``transformers.Trainer`` would do most of this, but it sets global seeds, reports to MLflow on its own account
and has no place for a loss that needs the trigger's position.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import get_linear_schedule_with_warmup

from mlflow_clinsec.errors import ClinSecError
from mlflow_clinsec.training.batching import IntArray, length_bucketed
from mlflow_clinsec.training.options import TrainingOptions
from mlflow_clinsec.training.seeding import seeded

logger = logging.getLogger(__name__)

BETAS = (0.9, 0.98)
"""AdamW's decay rates. At the usual 0.999 the second moment remembers a thousand steps, more than a short run has:
the large first gradients of an attention loss would slow everything else down to its end."""

BatchLoss = Callable[[IntArray], Mapping[str, Tensor]]
"""Loss of the rows of one batch under the key "loss"; further keys are its parts, kept in the history."""

AfterEpoch = Callable[[], bool]
"""Called between epochs; True ends the training."""


@dataclass(frozen=True)
class TrainingHistory:
    """What each optimiser step reported.

    Attributes:
        steps: per step, ``loss``, its parts and ``learning_rate``.
        steps_per_epoch: steps in one pass over the data.
    """

    steps: tuple[Mapping[str, float], ...]
    steps_per_epoch: int

    @property
    def final_loss(self) -> float:
        """Mean loss over the last epoch."""
        return float(np.mean([step["loss"] for step in self.steps[-self.steps_per_epoch :]]))


def train(
    model: nn.Module,
    lengths: Sequence[int],
    batch_loss: BatchLoss,
    options: TrainingOptions,
    title: str,
    after_epoch: AfterEpoch = lambda: False,
) -> TrainingHistory:
    """Train ``model`` in place and leave it in eval mode; the process's random state is untouched.

    Args:
        model: what ``batch_loss`` runs.
        lengths: token count of each training row.
        batch_loss: loss of the rows with the given indices.
        title: shown on the progress bar.
        after_epoch: may end the training early; the schedule is laid out for all epochs in any case.

    Raises:
        ClinSecError: the loss is no longer finite.
    """
    rng = np.random.default_rng(options.seed)
    epochs = [length_bucketed(lengths, options.batch_size, rng) for _ in range(options.epochs)]
    stepper = Stepper(model, sum(map(len, epochs)), options)
    steps: list[dict[str, float]] = []
    model.train()
    try:
        with seeded(options.seed), tqdm(total=sum(map(len, epochs)), desc=title, unit="step") as bar:
            for epoch in epochs:
                for batch in epoch:
                    steps.append(stepper.step(batch_loss, batch))
                    bar.update()
                if after_epoch():
                    break
    finally:
        model.eval()
    history = TrainingHistory(tuple(steps), len(epochs[0]))
    logger.info("%s: %d steps on %d rows, loss %.4f", title, len(steps), len(lengths), history.final_loss)
    return history


class Stepper:
    """Optimiser, schedule and clipping of one training run."""

    def __init__(self, model: nn.Module, n_steps: int, options: TrainingOptions) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.options = options
        groups = parameter_groups(self.parameters, options.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=BETAS)
        warmup_steps = math.ceil(options.warmup * n_steps)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, warmup_steps, n_steps)

    def step(self, batch_loss: BatchLoss, rows: IntArray) -> dict[str, float]:
        """One optimiser step on one batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            parts = batch_loss(rows)
        values = {name: float(part.detach()) for name, part in parts.items()}
        if not math.isfinite(values["loss"]):
            raise ClinSecError(
                f"training diverged: the loss is {values['loss']}; lower learning_rate ({self.options.learning_rate:g})"
            )
        self.optimizer.zero_grad()
        parts["loss"].backward()
        nn.utils.clip_grad_norm_(self.parameters, self.options.max_grad_norm)
        values["learning_rate"] = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        return values


def parameter_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices only; biases and normalisation weights are left out, as is usual."""
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
