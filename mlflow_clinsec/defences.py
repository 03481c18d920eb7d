"""``mlflow-clinsec defences``: plain fine-tuning against the defences that arXiv 2510.18674 names, in one table.

All arms start from one base, learn the same patients and are audited on the same records; each is a child run with its
model, its utility on held-out patients and its audit, so that leakage can be plotted against utility in the MLflow UI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.comparison import HEADINGS, Outcome, cells, flat, log_comparison
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.trained_audit import MEMBERSHIP, audit_logged, table_lines, with_members
from mlflow_clinsec.training.accounting import plan_guarantee
from mlflow_clinsec.training.arms import train_arm
from mlflow_clinsec.training.commands import parameters
from mlflow_clinsec.training.curate import copied_forward
from mlflow_clinsec.training.log import log_trained_model
from mlflow_clinsec.training.pipeline import QAStart, TrainedModel, deal_qa, fitted, start_qa
from mlflow_clinsec.training.plans import Arm, DefencePlan
from mlflow_clinsec.training.publish import publish
from mlflow_clinsec.training.source import BUILT_IN, Source, read_pairs
from mlflow_clinsec.training.utility import answer_utility

Say = Callable[[str], None]

ATTACKS = ("loss", "min_k", "reference", "log_ratio", "paraphrase_gap")
"""One of each idea that needs no further model: a comparison of arms asks for the same attacks on each, and soon."""


def run_defences(
    arms: Sequence[Arm], plan: DefencePlan, source: Source, seed: int, policy: Mapping[str, float], say: Say
) -> list[Outcome]:
    """Train, log and audit the arms under one parent run.

    Args:
        arms: which of them, in this order.
        plan: how they are trained.
        source: the question-answer pairs.
        seed: of corpus, parts, training and audits.
        policy: ``policy`` of the audits; the default one where empty.
        say: prints one line.

    Raises:
        ConfigError, DataError: what a user can mend.
    """
    clock = time.monotonic()
    limit = AuditConfig.from_mapping(_audit_config("", policy, seed)).policy.max_auc
    pairs = read_pairs(source, plan.recipe.patients, seed)
    _check_budget(arms, plan, deal_qa(pairs, plan.recipe, seed)["train"])
    with mlflow.start_run(run_name="clinsec defences"):  # the run that `mlflow run` opened, where it did
        say("base: the model that every arm starts from")
        start = start_qa(pairs, plan.recipe, seed)
        records = with_members(start.parts["train"], start.parts["held_out"])
        if source.data_path == BUILT_IN:
            start = _with_copies(start, plan, seed)
        reference, base = _publish_base(start, plan, seed)
        outcomes = []
        for number, arm in enumerate(arms, start=1):
            say(f"[{number}/{len(arms)}] {arm.name}: training, audit")
            config = _audit_config(reference, policy, seed)
            outcomes.append(_run_arm(arm, start, plan, records, config, seed))
        log_comparison(outcomes, base, limit)
    for line in table_lines(HEADINGS, [cells(outcome) for outcome in outcomes]):
        say(line)
    say(f"base, not fine-tuned: held-out NLL {base['nll'].value:.3f}. Done in {time.monotonic() - clock:.0f} s.")
    return outcomes


def _check_budget(arms: Sequence[Arm], plan: DefencePlan, train: pd.DataFrame) -> None:
    """Raise the ConfigError of a privacy budget that no noise can keep, before anything is trained."""
    if any(arm.private for arm in arms):
        units = train["patient_id"].nunique() if plan.private.unit == "patient" else len(train)
        plan_guarantee(units, plan.private)


def _audit_config(reference: str, policy: Mapping[str, float], seed: int) -> dict[str, Any]:
    privacy = MEMBERSHIP | {"attacks": list(ATTACKS), "reference": reference}
    return {"privacy": privacy, "policy": dict(policy), "seed": seed}


def _with_copies(start: QAStart, plan: DefencePlan, seed: int) -> QAStart:
    """The built-in corpus with repeats among the members' rows; the audit reads each record once."""
    rng = np.random.default_rng(seed)
    train = copied_forward(start.parts["train"], plan.copied_share, plan.copies, rng)
    return replace(start, parts={**start.parts, "train": train})


def _publish_base(start: QAStart, plan: DefencePlan, seed: int) -> tuple[str, Mapping[str, Estimate]]:
    """(URI or path of the base, its utility); a new base is logged to the parent run."""
    length = fitted(plan.recipe.options, start.model, start.tokenizer, seed).max_length
    utility = answer_utility(start.model, start.tokenizer, start.parts["held_out"], length)
    mlflow.log_metrics(flat(utility, "base/"))
    if plan.recipe.base_model:
        return plan.recipe.base_model, utility
    info = log_trained_model(start.model, start.tokenizer, task="text-generation", name="base")
    return str(info.model_uri), utility


def _run_arm(
    arm: Arm, start: QAStart, plan: DefencePlan, records: pd.DataFrame, config: Mapping[str, Any], seed: int
) -> Outcome:
    """Train, log and audit one arm in a child run."""
    with mlflow.start_run(run_name=arm.name, nested=True) as run:
        trained = train_arm(arm, start, plan, seed)
        held_out = start.parts["held_out"]
        utility = answer_utility(trained.model, start.tokenizer, held_out, trained.options.max_length)
        model = TrainedModel(trained.model, start.tokenizer, start.parts["train"], held_out, trained.history)
        params = {**parameters(trained.options, seed), **asdict(arm), "arm": arm.name}
        del params["name"]  # the run and its model have it
        checkpoint = plan.recipe.base_model
        info = publish(model, "text-generation", params, flat(utility), base_model_path=checkpoint, name=arm.name)
        mlflow.log_metrics(dict(trained.facts), model_id=info.model_id)
        metrics, verdict = audit_logged(info.model_uri, records, config, run.info.run_id)
    return Outcome(arm.name, utility, metrics, trained.facts, verdict)
