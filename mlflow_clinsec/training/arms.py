"""Training arms: fine-tuning the same base on the same patients, with and without a defence."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.training.curate import deduplicate, with_rewordings
from mlflow_clinsec.training.dp import PrivateTraining, finetune_privately
from mlflow_clinsec.training.early_stopping import EarlyStopping
from mlflow_clinsec.training.loop import TrainingHistory
from mlflow_clinsec.training.models import with_lora
from mlflow_clinsec.training.options import DPOptions, TrainingOptions
from mlflow_clinsec.training.pipeline import QAStart, fitted, tune
from mlflow_clinsec.training.plans import Arm, DefencePlan
from mlflow_clinsec.training.utility import answer_scores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedArm:
    """One arm's outcome.

    Attributes:
        model: the tuned model; with LoRA, the base under its adapters.
        history: of the fine-tuning.
        options: as they were used, within the model's context.
        facts: what the arm did to the rows and to the training, as metrics of its run: ``training/rows``,
            ``early_stopping/best_epoch``, ``dp/epsilon``, ``dp/delta``, ``dp/noise_multiplier``, ...
    """

    model: PreTrainedModel
    history: TrainingHistory = field(repr=False)
    options: TrainingOptions
    facts: Mapping[str, float]


def train_arm(arm: Arm, start: QAStart, plan: DefencePlan, seed: int) -> TrainedArm:
    """Fine-tune a copy of the base.

    Args:
        start: base, tokenizer and parts ``train`` and ``validation``; left as it is.
        seed: of rewordings, adapters, batches and noise.

    Raises:
        ConfigError: an extra is missing, or the privacy budget cannot be met.
        ClinSecError: training diverged.
    """
    model = copy.deepcopy(start.model)
    if arm.lora:
        model = with_lora(model, rank=plan.lora_rank, alpha=2.0 * plan.lora_rank, seed=seed)
    rows = training_rows(arm, start.parts["train"], seed)
    arm_start = replace(start, model=model)
    options = fitted(arm_options(arm, plan, rows, len(start.parts["train"])), model, start.tokenizer, seed)
    facts = {"training/rows": float(len(rows))}
    if isinstance(options, DPOptions):
        private = privately(arm_start, rows, options)
        return TrainedArm(model, private.history, options, facts | guarantee_facts(private))
    if not arm.patience:
        return TrainedArm(model, tune(model, start.tokenizer, rows, options, seed), options, facts)
    stopping = early_stopping(arm_start, arm, options)
    history = tune(model, start.tokenizer, rows, options, seed, stopping)
    stopping.restore()
    facts |= {"early_stopping/epochs": float(len(stopping.losses)), "early_stopping/best_epoch": stopping.best_epoch}
    return TrainedArm(model, history, options, facts)


def training_rows(arm: Arm, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The members' rows after what the arm does to them."""
    before = len(rows)
    if arm.deduplicate:
        rows = deduplicate(rows)
    if arm.rewordings:
        rows = with_rewordings(rows, ParaphraseOptions(count=arm.rewordings), np.random.default_rng(seed))
    logger.info("%s: %d training rows, %d of them as they came", arm.name, len(rows), before)
    return rows


def arm_options(arm: Arm, plan: DefencePlan, rows: pd.DataFrame, before: int) -> TrainingOptions:
    """The training options of an arm; rewordings are paid for with epochs."""
    options: TrainingOptions = plan.private if arm.private else plan.recipe.options
    if arm.lora:
        options = replace(options, learning_rate=plan.lora_learning_rate)
    if arm.rewordings:
        options = replace(options, epochs=max(1, round(options.epochs * before / len(rows))))
    return options


def privately(start: QAStart, rows: pd.DataFrame, options: DPOptions) -> PrivateTraining:
    """DP-SGD on the rows."""
    prompts, responses, patients = (rows[name].tolist() for name in ("prompt", "response", "patient_id"))
    return finetune_privately(start.model, start.tokenizer, prompts, responses, patients, options)


def guarantee_facts(private: PrivateTraining) -> dict[str, float]:
    """What a reader needs to judge the guarantee."""
    found = private.guarantee
    return {
        "dp/epsilon": found.epsilon,
        "dp/delta": found.delta,
        "dp/noise_multiplier": found.noise_multiplier,
        "dp/sample_rate": found.sample_rate,
        "dp/steps": float(found.steps),
    }


def early_stopping(start: QAStart, arm: Arm, options: TrainingOptions) -> EarlyStopping:
    """Watches the mean NLL of the validation patients' answers."""
    validation = start.parts["validation"]

    def loss() -> float:
        return float(answer_scores(start.model, start.tokenizer, validation, options.max_length)[0].mean())

    return EarlyStopping(start.model, loss, arm.patience, arm.least_gain)
