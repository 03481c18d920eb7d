"""``mlflow-clinsec repair``: a suspected classifier before and after each way of repairing it, in one table.

Patients with clean records are dealt once: some to repair with, others to audit. The suspected model and every repaired
one is a child run with its model and its audit on the same records, so that what is left of the backdoor can be plotted
against what the repair cost in the MLflow UI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.comparison import flat
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.report.figure_repair import RepairPoint, draw_repairs
from mlflow_clinsec.report.figure_style import house_style
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.trained_audit import audit_logged, table_lines, with_interval
from mlflow_clinsec.training.commands import parameters
from mlflow_clinsec.training.log import log_history, log_trained_model
from mlflow_clinsec.training.repair import Repaired, repair
from mlflow_clinsec.training.repair_plans import RepairArm, RepairPlan

Say = Callable[[str], None]

EXCESS, ASR = "clinsec/backdoor/worst_excess_asr", "clinsec/backdoor/worst_asr"
AUROC, CACC = "clinsec/utility/auroc", "clinsec/backdoor/clean_utility/cacc"
TABLE, FIGURE = "repairs.json", "repairs.png"
HEADINGS = ("arm", "pruned", "worst excess ASR", "worst ASR", "AUROC", "CACC", "verdict")
BEFORE = "suspect"
_PRUNED = {
    "pruned/neurons": "{:.0%} of neurons",
    "pruned/heads": "{:.0f} heads",
    "pruned/embeddings": "{:.0%} of embeddings",
}

TESTS = ("trigger", "clean_utility")
POSITIONS = ("head", "random")


@dataclass(frozen=True)
class Suspect:
    """The model to repair.

    Attributes:
        notes: clean records of patients that it was not trained on: ``patient_id``, ``text`` and ``label``.
        uri: where it is logged; "" logs it under the comparison.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    notes: pd.DataFrame
    uri: str = ""


@dataclass(frozen=True)
class Outcome:
    """One model: the suspected one, or what an arm made of it.

    Attributes:
        metrics: of the audit; empty where the arm could not be carried out.
        facts: what was pruned.
        verdict: of the audit, or why there is none.
    """

    arm: str
    metrics: Mapping[str, float]
    facts: Mapping[str, float]
    verdict: str

    def estimate(self, name: str) -> Estimate:
        """One headline number with its interval."""
        value, low, high = (self.metrics.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
        return Estimate(value, low, high, 0)


def audit_config(backdoor: Mapping[str, Any], policy: Mapping[str, float], seed: int) -> dict[str, Any]:
    """The configuration of every audit of one comparison.

    Raises:
        ConfigError: a value is out of range.
    """
    config = {
        "data": {"text": "text", "label": "label", "group": "patient_id"},
        "backdoor": {"positions": list(POSITIONS), **backdoor, "tests": list(TESTS)},
        "policy": dict(policy),
        "seed": seed,
    }
    AuditConfig.from_mapping(config)
    return config


def run_repairs(
    arms: Sequence[RepairArm],
    plan: RepairPlan,
    make_suspect: Callable[[], Suspect],
    config: Mapping[str, Any],
    seed: int,
    say: Say,
) -> list[Outcome]:
    """Audit the suspected model, repair it in every way, and audit what came out, under one parent run.

    Args:
        make_suspect: loads or trains it, once the parent run is open.
        config: of the audits; see :func:`audit_config`.
        seed: of the parts and of the fine-tuning.
        say: prints one line.

    Returns:
        The suspected model first, then the arms in order.

    Raises:
        ConfigError, DataError: what a user can mend.
    """
    clock = time.monotonic()
    with mlflow.start_run(run_name="clinsec repair"):  # the run that `mlflow run` opened, where it did
        suspect = make_suspect()
        parts = split_patients(suspect.notes, plan.shares, seed)
        say(f"[0/{len(arms)}] {BEFORE}: audit")
        outcomes = [_audit_suspect(suspect, parts["audit"], config)]
        for number, arm in enumerate(arms, start=1):
            say(f"[{number}/{len(arms)}] {arm.name}: repair, audit")
            outcomes.append(_run_arm(arm, suspect, parts, plan, config, seed))
        log_repairs(outcomes, AuditConfig.from_mapping(config).policy.max_excess_asr)
    for line in table_lines(HEADINGS, [cells(outcome) for outcome in outcomes]):
        say(line)
    say(f"Done in {time.monotonic() - clock:.0f} s.")
    return outcomes


def cells(outcome: Outcome) -> tuple[str, ...]:
    """One line of the table, in the order of ``HEADINGS``."""
    pruned = [_PRUNED[name].format(value) for name, value in outcome.facts.items()]
    numbers = (with_interval(outcome.metrics, name) for name in (EXCESS, ASR, AUROC, CACC))
    return (outcome.arm, "".join(pruned) or "-", *numbers, outcome.verdict)


def log_repairs(outcomes: Sequence[Outcome], limit: float) -> None:
    """Log the models side by side to the active run: metrics, table, figure and note.

    Args:
        limit: the policy's limit on the excess.
    """
    rows = [cells(outcome) for outcome in outcomes]
    for outcome in outcomes:
        shown = {"worst_excess_asr": EXCESS, "worst_asr": ASR, "auroc": AUROC, "cacc": CACC}
        found = {name: outcome.estimate(metric) for name, metric in shown.items() if metric in outcome.metrics}
        mlflow.log_metrics(flat(found, f"{outcome.arm}/"))
    mlflow.log_table({name: [row[i] for row in rows] for i, name in enumerate(HEADINGS)}, TABLE)
    points = [RepairPoint(o.arm, o.estimate(EXCESS), o.estimate(AUROC)) for o in outcomes]
    with house_style():
        mlflow.log_figure(draw_repairs(points, limit), FIGURE)
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    mlflow.set_tag(MLFLOW_RUN_NOTE, f"{table}\n\nAll audited on the same patients, none of them repaired with.")


def _audit_suspect(suspect: Suspect, records: pd.DataFrame, config: Mapping[str, Any]) -> Outcome:
    with mlflow.start_run(run_name=BEFORE, nested=True) as run:
        uri = suspect.uri
        if not uri:
            info = log_trained_model(suspect.model, suspect.tokenizer, task="text-classification", name=BEFORE)
            uri = str(info.model_uri)
        metrics, verdict = audit_logged(uri, records, config, run.info.run_id)
    return Outcome(BEFORE, metrics, {}, verdict)


def _run_arm(
    arm: RepairArm,
    suspect: Suspect,
    parts: Mapping[str, pd.DataFrame],
    plan: RepairPlan,
    config: Mapping[str, Any],
    seed: int,
) -> Outcome:
    """Repair, log and audit in a child run. An arm that does not know this kind of model says so in its place."""
    with mlflow.start_run(run_name=arm.name, nested=True) as run:
        try:
            repaired = repair(suspect.model, suspect.tokenizer, parts, arm, plan, seed)
        except NotApplicableError as error:
            mlflow.set_tag("clinsec.skipped", str(error))
            return Outcome(arm.name, {}, {}, f"skipped: {error}")
        uri = _publish(repaired, suspect.tokenizer, arm, plan, parts, seed, run.info.run_id)
        metrics, verdict = audit_logged(uri, parts["audit"], config, run.info.run_id)
    return Outcome(arm.name, metrics, repaired.facts, verdict)


def _publish(
    repaired: Repaired,
    tokenizer: PreTrainedTokenizerBase,
    arm: RepairArm,
    plan: RepairPlan,
    parts: Mapping[str, pd.DataFrame],
    seed: int,
    run_id: str,
) -> str:
    """Log model, settings, loss curve and what was pruned to the active run; the model's URI."""
    params = {
        **parameters(repaired.options, seed),
        "arm": arm.name,
        "prune": arm.prune,
        "most_drop": plan.most_drop,
        "attention_weight": plan.attention_weight if arm.attention_norm else 0.0,
    }
    mlflow.log_params({**params, **{f"n_{name}": len(part) for name, part in parts.items()}})
    info = log_trained_model(repaired.model, tokenizer, task="text-classification", name=arm.name, params=params)
    log_history(repaired.history, run_id, info.model_id)
    mlflow.log_metrics(dict(repaired.facts), model_id=info.model_id)
    return str(info.model_uri)
