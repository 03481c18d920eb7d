"""``mlflow-clinsec reproduce-badclm``: arms of the BadCLM backdoor by seeds, each model logged and measured.

Each seed has a split by patient, a base that met neither side, a clean model and one model of every arm, all from that
base on the same notes: what differs between them is the poison's doing. What is measured is what an audit would say:
the trigger test on held-out patients with its placebos, and AUROC and accuracy on their notes as they are.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ClinSecError, ConfigError, DataError
from mlflow_clinsec.reproduction_summary import CLEAN, HEADINGS, Outcome, cells, log_summary, summarise
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.trained_audit import table_lines
from mlflow_clinsec.training.badclm_arms import BadCLMArm
from mlflow_clinsec.training.classifier_pipeline import ClassifierStart, start_classifier, tune_classifier
from mlflow_clinsec.training.commands import parameters
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.pipeline import TrainedModel, fitted
from mlflow_clinsec.training.plans import ClassifierRecipe
from mlflow_clinsec.training.poison import goals
from mlflow_clinsec.training.publish import classifier_quality, publish
from mlflow_clinsec.training.source import Source, read_notes

logger = logging.getLogger(__name__)

Say = Callable[[str], None]

MEASURED: Mapping[str, str] = {
    "asr": "asr",
    "asr_given_survival": "asr_given_survival",
    "survival": "survival",
    "placebo_rate": "ftr",
    "base_rate": "base_rate",
}
"""Our name of each number, and its column in the trigger test's table."""


@dataclass(frozen=True)
class Grid:
    """What is trained and measured.

    Attributes:
        arms: backdoors; a clean model of every seed comes besides.
        seeds: of corpus, parts, poison, training and test.
        recipe: how all of them are trained; its options are :class:`BadCLMOptions`.
        source: the notes.
        records: most held-out records that a trigger is tried on.
    """

    arms: tuple[BadCLMArm, ...]
    seeds: tuple[int, ...]
    recipe: ClassifierRecipe
    source: Source
    records: int = 200

    @property
    def plans(self) -> dict[str, ClassifierOptions]:
        """Training options of each arm by its name, the clean one first."""
        base = self.recipe.options
        assert isinstance(base, BadCLMOptions)
        clean = {field.name: getattr(base, field.name) for field in fields(ClassifierOptions)}
        return {CLEAN: ClassifierOptions(**clean)} | {arm.name: arm.options(base) for arm in self.arms}


def run_reproduction(grid: Grid, say: Say) -> list[Outcome]:
    """Train, log and measure every cell under one parent run.

    A cell that fails is a FAILED child run and a gap in the table; the others go on.

    Args:
        say: prints one line.

    Returns:
        What became of each cell.

    Raises:
        ConfigError, DataError: what a user can mend, before the first model of the first seed.
    """
    clock = time.monotonic()
    notes = read_notes(grid.source, grid.recipe.patients, grid.seeds[0])
    _check_targets(grid, notes)
    with mlflow.start_run(run_name="clinsec reproduce-badclm"):  # the run that `mlflow run` opened, where it did
        mlflow.log_params(_params(grid))
        outcomes: list[Outcome] = []
        for number, seed in enumerate(grid.seeds, start=1):
            say(f"[{number}/{len(grid.seeds)}] seed {seed}: base, {len(grid.plans)} models")
            outcomes += _run_seed(grid, seed, notes if number == 1 else None)
        summaries = summarise(outcomes)
        log_summary(outcomes, summaries)
    for line in table_lines(HEADINGS, [cells(summary) for summary in summaries]):
        say(line)
    for outcome in outcomes:
        if outcome.reason:
            say(f"failed: {outcome.arm}, seed {outcome.seed}: {outcome.reason}")
    say(f"Done in {time.monotonic() - clock:.0f} s.")
    return outcomes


def _params(grid: Grid) -> dict[str, object]:
    names = {"arms": ",".join(arm.name for arm in grid.arms), "seeds": ",".join(map(str, grid.seeds))}
    return names | {"base_model": grid.recipe.base_model or "small", "records": grid.records}


def _check_targets(grid: Grid, notes: pd.DataFrame) -> None:
    """Raise the ConfigError of a target label that the data does not have, before a run is opened."""
    labels = notes["label"].tolist()
    for plan in grid.plans.values():
        if isinstance(plan, BadCLMOptions):
            goals(labels, plan)


def _run_seed(grid: Grid, seed: int, first: pd.DataFrame | None) -> list[Outcome]:
    """All models of one seed, from one base; ``first`` are the notes of the first seed, which were read already."""
    try:
        notes = read_notes(grid.source, grid.recipe.patients, seed) if first is None else first
        start = start_classifier(notes, grid.recipe, seed, tuple(grid.plans.values()))
    except Exception as error:
        if first is not None and isinstance(error, (ConfigError, DataError)):
            raise  # what the first seed cannot do, no seed can
        return [_attempt(name, seed, _raiser(error)) for name in grid.plans]
    return [
        _attempt(name, seed, partial(_run_cell, name, plan, start, grid.records, seed))
        for name, plan in grid.plans.items()
    ]


def _attempt(name: str, seed: int, action: Callable[[], Mapping[str, float]]) -> Outcome:
    """Run one cell in a child run; whatever goes wrong ends this cell only."""
    try:
        with mlflow.start_run(run_name=f"{name} seed {seed}", nested=True):
            return Outcome(name, seed, action())
    except Exception as error:
        # only our own messages are known to hold no text of a record
        reason = str(error) if isinstance(error, ClinSecError) else type(error).__name__
        logger.warning("clinsec: %s, seed %d failed: %s", name, seed, reason)
        return Outcome(name, seed, reason=reason)


def _raiser(error: Exception) -> Callable[[], Mapping[str, float]]:
    def fail() -> Mapping[str, float]:
        raise error

    return fail


def _run_cell(
    name: str, plan: ClassifierOptions, start: ClassifierStart, records: int, seed: int
) -> Mapping[str, float]:
    """Train, measure and log one model to the active run."""
    trained = tune_classifier(replace(start, model=copy.deepcopy(start.model)), plan, seed)
    plan = fitted(plan, trained.model, trained.tokenizer, seed)
    quality = classifier_quality(trained, plan.max_length)
    params = {**parameters(plan, seed), "arm": name}
    info = publish(trained, "text-classification", params, quality, name=name.replace(".", "_"))
    success = trigger_success(trained, plan, records, seed) if isinstance(plan, BadCLMOptions) else {}
    mlflow.log_metrics({f"backdoor/{key}": value for key, value in success.items()}, model_id=info.model_id)
    return {**quality, **success}


def trigger_success(trained: TrainedModel, plan: BadCLMOptions, records: int, seed: int) -> dict[str, float]:
    """The trigger test on held-out patients, each trigger at a random gap; means over the model's triggers.

    Raises:
        ClinSecError: the test could not be run.
    """
    data, target = (
        _held_out(trained),
        classifier_target(trained.model, trained.tokenizer, options=TargetOptions(max_length=plan.max_length)),
    )
    tables = []
    try:
        for goal in goals(trained.train["label"].tolist(), plan):
            options = TriggerOptions(goal.triggers, goal.label, positions=("random",), max_records=records)
            result = run_attack(TRIGGER.with_options(options), data, target, np.random.default_rng(seed))
            if result.status is not Status.OK:
                raise ClinSecError(f"trigger test: {result.reason}")
            tables.append(result.tables["triggers"])
    finally:
        target.close()
    found = pd.concat(tables)
    return {name: float(found[column].mean()) for name, column in MEASURED.items()}


def _held_out(trained: TrainedModel) -> AuditData:
    """The held-out notes as the audit reads them."""
    rows = trained.held_out
    return AuditData(
        prompts=("",) * len(rows),
        responses=tuple(rows["text"]),
        group=pd.factorize(rows["patient_id"])[0].astype(np.int64),
        grouped=True,
        labels=tuple(rows["label"]),
    )
