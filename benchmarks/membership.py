"""Measure the strength of every membership attack, beside the strongest published scores, on models trained here.

    python -m benchmarks.membership [--data FOLDER] [--seeds 5] [--records 1000] [--epochs 5] [--shadows 2]
                                    [--only KIND] [--peer-checkout FOLDER]

On each kind of text (the built-in corpus; real questions and real notes where their files are given) and for each
seed, a small language model learns from members dealt at random by patient. Every attack is run by the audit itself,
once with the base as the only reference and once with shadow models added ("+shadows"). Published scores are
reimplemented on plain forward passes (``peer:``); a peer's own code can run beside them (``peer-code:``). A further
model learns for five times as long: no score may collapse on what is known by heart. Last comes the CPU cost of all
scores that need the target alone, over one bare forward pass.

Prints one JSON object, last. No text of a record is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.membership_fixtures import REAL_TEXT, Attacked, Fixture, fixtures, prepare, within_context
from benchmarks.peer_checkout import run_checkout
from benchmarks.peer_scores import peer_scores
from benchmarks.sweep_cost import sweep_cost
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.privacy.table import BASELINES, LANGUAGE_MODEL
from mlflow_clinsec.results import Status
from mlflow_clinsec.stats.roc import auc, tpr_at_fpr
from mlflow_clinsec.targets.huggingface import causal_lm_target

OVERFIT = 5
"""How many times as long the overfit model learns."""
SHADOWED = "+shadows"
WITH_SHADOWS = (
    "reference",
    "log_ratio",
    "log_ratio_studentised",
    "log_ratio_calibrated",
    "wbc",
    "ez",
    "ez_calibrated",
    "combiner",
    "lira",
    "rmia",
    "spv",
)
LEFT_OUT = ("regurgitation", "neighbourhood", "canary")
"""Generation is slow, and no masked language model stands beside these small ones."""

Numbers = dict[str, tuple[float, float]]


def attack_all(attacked: Attacked, names: tuple[str, ...], shadows: bool) -> Numbers:
    """AUC and TPR at 1% FPR of the named attacks, run by the audit; with shadow models, names end in "+shadows"."""
    target = causal_lm_target(attacked.model, attacked.tokenizer)
    others = [attacked.base, *(attacked.shadows if shadows else ())]
    references = [causal_lm_target(model, attacked.tokenizer).scorer for model in others]
    target = dataclasses.replace(target, references=tuple(scorer for scorer in references if scorer is not None))
    settings = {"member": "m", "split": "random", "attacks": list(names), "bootstrap": 200, "permutations": 999}
    report = run_audit(attacked.data, target, AuditConfig.from_mapping({"privacy": settings}))
    found = {}
    for result in report.results:
        if result.status is Status.OK and "auc" in result.estimates:
            tpr = result.estimates.get("tpr_at_1pct_fpr")
            key = result.name + (SHADOWED if shadows else "")
            found[key] = (result.estimates["auc"].value, tpr.value if tpr else float("nan"))
        elif result.status is Status.FAILED:
            print(f"{result.name} failed: {result.reason}", file=sys.stderr)
    return found


def attack_as_published(attacked: Attacked) -> Numbers:
    """The same for the peers' scores."""
    scores = peer_scores(attacked.model, attacked.base, within_context(attacked))
    return {
        f"peer:{name}": (auc(values, attacked.member), tpr_at_fpr(values, attacked.member, 0.01))
        for name, values in scores.items()
    }


def attack_by_checkout(attacked: Attacked, checkout: Path) -> Numbers:
    """The same for a peer's own code."""
    scores, seconds = run_checkout(checkout, attacked)
    print(f"peer's own code: {seconds:.1f} CPU seconds", file=sys.stderr, flush=True)
    return {
        f"peer-code:{name}": (auc(values, attacked.member), tpr_at_fpr(values, attacked.member, 0.01))
        for name, values in scores.items()
    }


def run_seed(
    fixture: Fixture, seed: int, shadows: int, names: tuple[str, ...], checkout: Path | None = None
) -> tuple[Attacked, Numbers]:
    """One trained target and every number on it."""
    attacked = prepare(fixture, seed, shadows)
    found = attack_all(attacked, names, shadows=False) | attack_as_published(attacked)
    if checkout:
        found |= attack_by_checkout(attacked, checkout)
    if shadows:
        found |= attack_all(attacked, tuple(name for name in WITH_SHADOWS if name in names), shadows=True)
    return attacked, found


def summarise(runs: list[Numbers]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds, strongest first."""
    gathered: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        for name, numbers in run.items():
            gathered[name].append(numbers)
    rows = {name: _row(np.array(values)) for name, values in gathered.items()}
    return dict(sorted(rows.items(), key=lambda item: -item[1]["auc"]))


def _row(values: NDArray[np.float64]) -> dict[str, float]:
    """Of (AUC, TPR at 1% FPR) by seed, shape (n_seeds, 2). A TPR that too few records can show is left out."""
    mean, sd = values.mean(axis=0).round(3), values.std(axis=0, ddof=min(1, len(values) - 1)).round(3)
    row = {"auc": mean[0], "auc_sd": sd[0], "tpr_at_1pct_fpr": mean[1], "tpr_sd": sd[1], "seeds": len(values)}
    return {name: float(value) for name, value in row.items() if not np.isnan(value)}


def bar(rows: dict[str, dict[str, float]]) -> dict[str, object]:
    """The best attack against the best peer, both by mean AUC and both with the base as their only reference."""
    peers = {name: row for name, row in rows.items() if name.startswith("peer")}
    ours = {n: row for n, row in rows.items() if n not in peers and n != "blind" and not n.endswith(SHADOWED)}
    best, rival = (max(group, key=lambda name: group[name]["auc"]) for group in (ours, peers))
    met = ours[best]["auc"] >= peers[rival]["auc"]
    return {"best": best, "auc": ours[best]["auc"], "peer": rival, "peer_auc": peers[rival]["auc"], "met": met}


def measure(fixture: Fixture, arguments: argparse.Namespace, names: tuple[str, ...]) -> dict[str, object]:
    """All seeds of one kind of text, and the overfit model of the first."""
    runs = []
    for seed in range(arguments.seeds):
        attacked, found = run_seed(fixture, seed, arguments.shadows, names, arguments.peer_checkout)
        runs.append(found)
        print(f"{fixture.name} seed {seed}: {len(found)} scores", file=sys.stderr, flush=True)
    rows = summarise(runs)
    longer = dataclasses.replace(fixture.recipe.options, epochs=OVERFIT * arguments.epochs)
    overfit = dataclasses.replace(fixture, recipe=dataclasses.replace(fixture.recipe, options=longer))
    _, by_heart = run_seed(overfit, 0, 0, names)
    return {
        "members": int(attacked.member.sum()),
        "nonmembers": int((~attacked.member).sum()),
        "attacks": rows,
        "bar": bar(rows),
        "overfit": {name: round(numbers[0], 3) for name, numbers in sorted(by_heart.items(), key=lambda i: -i[1][0])},
        "cost_over_bare_forward": sweep_cost(attacked),
    }


def main() -> None:
    """Run all fixtures and print the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REAL_TEXT)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--shadows", type=int, default=2)
    parser.add_argument("--only", default="", help="one kind of text")
    parser.add_argument("--peer-checkout", type=Path, help="a clone that benchmarks.peer_checkout can run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.WARNING)
    names = tuple(attack.name for attack in LANGUAGE_MODEL + BASELINES if attack.name not in LEFT_OUT)
    found = fixtures(arguments.data, arguments.records, arguments.epochs)
    chosen = [fixture for fixture in found if arguments.only in ("", fixture.name)]
    print(json.dumps({fixture.name: measure(fixture, arguments, names) for fixture in chosen}))


if __name__ == "__main__":
    main()
