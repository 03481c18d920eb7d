"""Where the time of an audit's passes goes: shares of self time by kind of work, from torch's profiler.

    python -m benchmarks.speed_profile [--data FOLDER] [--records 400]

profiles the five scores of ``benchmarks.sweep_cost`` on language models of three sizes, and a trigger sweep over
MiniLM, and prints one JSON object. The profiler itself takes time for each small operator, which is counted where it
falls; the shares say where to look, ``benchmarks.sweep_cost`` says what it costs.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.membership_fixtures import REAL_TEXT, Attacked, fixtures, prepare
from benchmarks.pretrained import minilm, smollm
from benchmarks.speed_passes import made_up_model
from benchmarks.speed_sizes import short
from benchmarks.sweep_cost import scores_only, shared_scores
from benchmarks.trigger_cost import CONTEXT, LABELS, notes
from mlflow_clinsec.backdoor.design import draw_design
from mlflow_clinsec.backdoor.observe import observe
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.targets.huggingface import causal_lm_target, classifier_target

PACKAGE = "mlflow_clinsec"
REGIONS = {
    f"{PACKAGE}.targets.pair_scorer.encode_pairs": "tokenising",
    f"{PACKAGE}.scoring.text_encoder.TextEncoder.encode": "tokenising",
    f"{PACKAGE}.scoring.text_encoder.TextEncoder.survives": "tokenising",
    f"{PACKAGE}.targets.causal_lm.sweep": "pass",
    f"{PACKAGE}.targets.classifier.classify_rows": "pass",
    f"{PACKAGE}.scoring.sweep._padded": "padding and copies",
    f"{PACKAGE}.scoring.classify.collate": "padding and copies",
    f"{PACKAGE}.scoring.heads.ChunkedHead._reduce": "output layer",
    f"{PACKAGE}.scoring.heads.VocabMoments.update": "moments",
    f"{PACKAGE}.scoring.heads.VocabMoments.result": "moments",
}
"""Functions whose time is told apart; the innermost one counts."""
KINDS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "mkldnn::"),
    "attention": ("aten::_scaled_dot_product", "aten::scaled_dot_product"),
    "padding and copies": ("aten::copy_", "aten::cat", "aten::clone", "aten::contiguous", "aten::index"),
    "norms, activations, sums": ("aten::",),
}
"""Operators inside a pass, by how their names begin; the first kind that fits."""
OUTSIDE = "scores, insertion, deciding"


@contextmanager
def marked() -> Iterator[None]:
    """The functions above under their names in the profile."""
    with ExitStack() as stack:
        for place, region in REGIONS.items():
            owner, name = place.rsplit(".", 1)
            stack.enter_context(mock.patch(place, _named(region, getattr(pkgutil.resolve_name(owner), name))))
        yield


def _named(region: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with record_function(region):
            return function(*args, **kwargs)

    return wrapped


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Per cent of the profiled CPU time by kind of work."""
    work()
    with marked(), profile(activities=[ProfilerActivity.CPU]) as found, record_function(OUTSIDE):
        work()
    spent: dict[str, float] = defaultdict(float)
    for event in found.events() or ():
        kind = _kind(event)
        if kind is not None:
            spent[kind] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: round(100 * time / total, 1) for kind, time in sorted(spent.items(), key=lambda item: -item[1])}


def _kind(event: Any) -> str | None:
    """What an event's own time is spent on; None outside the work."""
    region, at = None, event
    while at is not None and region is None:
        region = at.name if at.name in (*REGIONS.values(), OUTSIDE) else None
        at = at.cpu_parent
    if region != "pass" or event.name == "pass":
        return "Python of the passes" if region == "pass" else region
    return next((kind for kind, names in KINDS.items() if event.name.startswith(names)), "norms, activations, sums")


def five_scores(attacked: Attacked) -> dict[str, float]:
    """The shared sweep and its scores, tokenising included."""

    def work() -> None:
        target = causal_lm_target(attacked.model, attacked.tokenizer)
        for attack in shared_scores():
            attack.run(attack, attacked.data, target, np.random.default_rng(0))

    with mock.patch("mlflow_clinsec.privacy.membership.judge", scores_only):
        return shares(work)


def trigger_sweep(model: Any, tokenizer: Any, records: int) -> dict[str, float]:
    """All words at all places in a few notes."""
    target = classifier_target(model, tokenizer)
    options = TriggerOptions(target_label=LABELS[0])
    design = draw_design(options, notes(records), target, np.random.default_rng(0))
    return shares(lambda: observe(design, classifier_target(model, tokenizer), None))


def measurements(arguments: argparse.Namespace) -> Mapping[str, dict[str, float]]:
    """All profiles by name."""
    named = {fixture.name: fixture for fixture in fixtures(arguments.data, arguments.records, epochs=1)}
    trained = prepare(named.get("questions", named["synthetic"]), seed=0, shadows=0)
    few = short(trained)
    found = {
        "two trained layers of 128": five_scores(trained),
        "eight layers of 576": five_scores(replace(few, model=made_up_model())),
    }
    if language_model := smollm():
        found["SmolLM2-135M"] = five_scores(replace(few, model=language_model[0], tokenizer=language_model[1]))
    if encoder := minilm(LABELS, CONTEXT):
        found["triggers, MiniLM"] = trigger_sweep(*encoder, records=1)
    return found


def main() -> None:
    """Profile all and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=REAL_TEXT)
    parser.add_argument("--records", type=int, default=400)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measurements(arguments)))


if __name__ == "__main__":
    main()
