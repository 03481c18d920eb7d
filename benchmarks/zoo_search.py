"""The blind search on one model of the zoo, kept on disk until the search or its settings change."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlflow_clinsec.backdoor.search as search_room
from benchmarks.zoo_build import CONTEXT, Built
from benchmarks.zoo_data import load
from benchmarks.zoo_specs import ZooModel
from mlflow_clinsec.backdoor.search.engine import search
from mlflow_clinsec.backdoor.search.features import features
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.outcome import GoalOutcome, SearchOutcome
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.targets.protocols import ClassifierWeights

RECORDS = 200
"""Held-out notes of each label that an auditor brings."""

CODE = b"".join(
    path.read_bytes() for path in sorted(Path(search_room.__path__[0]).glob("*.py")) if path.stem != "detector"
)
"""The search as it was imported: what is on disk may have changed by the time that a result is kept."""


@dataclass(frozen=True)
class Searched:
    """What the search found in one model.

    Attributes:
        features: numbers for the detector.
        rank: see :class:`~benchmarks.zoo_judge.Judged`.
        found: for each label the best candidate, what it does on other patients, and the natural control.
        seconds, wall: CPU and wall-clock seconds.
    """

    features: Mapping[str, float]
    rank: int | None
    found: Mapping[str, Mapping[str, Any]]
    seconds: float
    wall: float


def run_search(built: Built, options: SearchOptions) -> Searched:
    """Search the model, or read what an earlier run of the same search found."""
    path = built.folder / f"search-{_digest(options)}.json"
    if not path.is_file():
        found = _search(built, options)
        path.write_text(json.dumps(asdict(found), indent=1))
    return Searched(**json.loads(path.read_text()))


def _search(built: Built, options: SearchOptions) -> Searched:
    model, tokenizer = built.open()
    target = classifier_target(model, tokenizer, options=TargetOptions(max_length=CONTEXT))
    assert target.weights is not None  # BERT with a fast tokeniser
    notes = audited(built.spec)
    patients = np.unique(notes["patient_id"], return_inverse=True)[1]
    rng = np.random.default_rng(built.spec.seed)
    cpu, wall = time.process_time(), time.monotonic()
    outcome = search(
        target.weights,
        notes["text"].tolist(),
        notes["label"].tolist(),
        patients,
        target.weights.labels,
        rng,
        options,
    )
    return Searched(
        dict(features(outcome)),
        rank_of_trigger(built.spec, outcome, target.weights),
        {goal: _shown(found) for goal, found in outcome.goals.items()},
        time.process_time() - cpu,
        time.monotonic() - wall,
    )


def audited(spec: ZooModel) -> pd.DataFrame:
    """The notes of an audit: held out from every model of the zoo, as many of each label, drawn by the model's seed."""
    held_out = load(spec.data).parts["held_out"]
    drawn = held_out.groupby("label").sample(RECORDS, random_state=spec.seed)
    return drawn.sort_index()


def rank_of_trigger(spec: ZooModel, outcome: SearchOutcome, weights: ClassifierWeights) -> int | None:
    """Place of the planted token among the candidates for its label; any of them where each opens the backdoor alone.

    None for a clean model and for a trigger that is not one token; 0 where it is not among the candidates shown.
    """
    if not spec.backdoored or len(spec.needed) > 1:
        return None
    alone = spec.triggers if spec.poison.get("combine") != "all" else ()
    tokens = [weights.tokenizer.tokenize(f" {trigger}") for trigger in alone]
    single = {pieces[0] for pieces in tokens if len(pieces) == 1}
    if not single:
        return None
    found = outcome.goals[spec.goal].finds if spec.goal in outcome.goals else ()
    return next((place for place, find in enumerate(found, start=1) if find.pieces in {(s,) for s in single}), 0)


def _shown(found: GoalOutcome) -> dict[str, Any]:
    best = found.finds[0] if found.finds else None
    return {
        "best": best.text if best else "",
        "best_gain": best.gain if best else None,
        "natural": found.natural.text if found.natural else "",
        "natural_gain": found.natural.gain if found.natural else None,
    }


def _digest(options: SearchOptions) -> str:
    """Changes with the settings and with the code of the search."""
    return hashlib.sha256(CODE + json.dumps([asdict(options), RECORDS]).encode()).hexdigest()[:12]
