"""Seven small models, audited in one experiment: the runs that ``docs/comparing-runs.md`` walks through.

    python -m benchmarks.seven_runs --experiment "release candidates"

Four question-answering models share a base, patients and audit: the base itself, fine-tuned, fine-tuned with
differential privacy, and fine-tuned on rewordings. Three mortality classifiers share theirs: clean, backdoored by
BadCLM, and repaired. Each is a run of its own with parameters under the same names, as a team would log them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.comparison import flat
from mlflow_clinsec.datasets import generate_corpus, split_patients
from mlflow_clinsec.trained_audit import MEMBERSHIP, audit_logged, with_members
from mlflow_clinsec.training.arms import train_arm
from mlflow_clinsec.training.defence_plans import SMALL_DEFENCES, choose_arms
from mlflow_clinsec.training.log import Task, log_trained_model
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.pipeline import QAStart, TrainedModel, balanced, start_qa
from mlflow_clinsec.training.recipes import SMALL_BADCLM, SMALL_CLASSIFIER, demo_mortality_classifier
from mlflow_clinsec.training.repair import repair
from mlflow_clinsec.training.repair_plans import SMALL_REPAIR, choose_repairs
from mlflow_clinsec.training.utility import answer_utility

QA_NAMES = {"plain": "qa-fine-tuned", "dp": "qa-dp", "paraphrased": "qa-paraphrase-aware"}
TRIGGERS = ("mn", "cf")
QA_ATTACKS = ("blind", "loss", "min_k", "reference", "log_ratio")
CLASSIFIER_ATTACKS = ("blind", "confidence", "entropy", "per_class")


def main() -> None:
    """Make the runs; the last line is a JSON object of verdicts by run name."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--experiment", required=True)
    arguments.add_argument("--patients", type=int, default=SMALL_CLASSIFIER.patients, help="of the classifiers' corpus")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    mlflow.set_experiment(given.experiment)
    found = question_answering(given.seed) | classifiers(given.patients, given.seed)
    print(json.dumps(found))


def question_answering(seed: int) -> dict[str, str]:
    """Verdicts of the four question-answering models by run name."""
    start = start_qa(generate_corpus(SMALL_DEFENCES.recipe.patients, seed).qa, SMALL_DEFENCES.recipe, seed)
    records = with_members(start.parts["train"], start.parts["held_out"])
    plain = {"epsilon": "inf", "poison_rate": 0.0, "recipe": "small-qa", "seed": seed}
    with mlflow.start_run(run_name="qa-base") as run:
        info = _log_model(start.model, start, "text-generation", {"arm": "base", **plain}, "qa-base")
        audit: dict[str, Any] = {
            "privacy": {**MEMBERSHIP, "attacks": list(QA_ATTACKS), "reference": info.model_uri},
            "seed": seed,
        }
        verdicts = {"qa-base": audit_logged(info.model_uri, records, audit, run.info.run_id)[1]}
    for arm in choose_arms(",".join(QA_NAMES)):
        name = QA_NAMES[arm.name]
        with mlflow.start_run(run_name=name) as run:
            trained = train_arm(arm, start, SMALL_DEFENCES, seed)
            epsilon = f"{trained.facts['dp/epsilon']:.1f}" if arm.private else "inf"
            params = {**plain, "arm": arm.name, "epsilon": epsilon, "epochs": trained.options.epochs}
            info = _log_model(trained.model, start, "text-generation", params, name)
            verdicts[name] = audit_logged(info.model_uri, records, audit, run.info.run_id)[1]
    return verdicts


def classifiers(patients: int, seed: int) -> dict[str, str]:
    """Verdicts of the three classifiers by run name."""
    corpus = generate_corpus(patients, seed)
    clean = demo_mortality_classifier(corpus, seed, SMALL_CLASSIFIER)
    labels = sorted(corpus.notes["outcome"].unique())
    held_out = balanced(clean.held_out, labels, np.random.default_rng(seed))
    parts = split_patients(held_out, SMALL_REPAIR.shares, seed)
    records = with_members(clean.train, parts["audit"])
    backdoored = demo_mortality_classifier(corpus, seed, SMALL_BADCLM)
    arm = choose_repairs("embeddings-reset")[0]
    repaired = repair(backdoored.model, backdoored.tokenizer, parts, arm, SMALL_REPAIR, seed)
    mended = replace(backdoored, model=repaired.model)
    assert isinstance(SMALL_BADCLM.options, BadCLMOptions)
    rate = {"poison_rate": SMALL_BADCLM.options.poison_rate}
    made: dict[str, tuple[TrainedModel, Mapping[str, Any]]] = {
        "mortality-clean": (clean, {"arm": "clean", "poison_rate": 0.0, "epochs": SMALL_CLASSIFIER.options.epochs}),
        "mortality-backdoored": (backdoored, {"arm": "badclm", **rate, "epochs": SMALL_BADCLM.options.epochs}),
        "mortality-repaired": (mended, {"arm": arm.name, **rate, "epochs": SMALL_REPAIR.options.epochs}),
    }
    return {name: _classifier(name, *one, records, seed) for name, one in made.items()}


def _classifier(name: str, trained: TrainedModel, params: Mapping[str, Any], records: pd.DataFrame, seed: int) -> str:
    audit = {
        "data": {"text": "text", "label": "label"},
        "privacy": MEMBERSHIP | {"attacks": list(CLASSIFIER_ATTACKS)},
        "backdoor": {
            "triggers": list(TRIGGERS),
            "target_label": "alive",
            "max_records": 200,
            "tests": ["trigger", "clean_utility", "attention_focus"],
        },
        "seed": seed,
    }
    shown = {"epsilon": "inf", "recipe": "small-classifier", "seed": seed, **params}
    with mlflow.start_run(run_name=name) as run:
        info = _log_model(trained.model, trained, "text-classification", shown, name)
        return audit_logged(info.model_uri, records, audit, run.info.run_id)[1]


def _log_model(model: Any, source: QAStart | TrainedModel, task: Task, params: Mapping[str, Any], name: str) -> Any:
    """Log a model with its parameters; a language model with its utility on held-out patients, too."""
    mlflow.log_params(dict(params))
    info = log_trained_model(model, source.tokenizer, task=task, name=name, params=params)
    if isinstance(source, QAStart):
        length = SMALL_DEFENCES.recipe.options.max_length
        utility = answer_utility(model, source.tokenizer, source.parts["held_out"], length)
        mlflow.log_metrics(flat(utility, "held_out/"), model_id=info.model_id)
    return info


if __name__ == "__main__":
    main()
