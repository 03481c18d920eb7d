"""How near to a bare forward pass the audit comes, and how it compares with peers' public code.

    python -m benchmarks.speed [--data FOLDER] [--records 400] [--peers FOLDER] [--repeats 5] [--skip memory,...]

``--peers`` is a folder with clones of the peers' public repositories, named as in :mod:`benchmarks.speed_peers` and
:mod:`benchmarks.speed_triggers`; absent ones are said to be. Everything is measured side by side, turn by turn in one
process, in CPU seconds of one thread, and reported as the median of ratios: a busy machine slows both. Prints one JSON
object last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks import speed_peers, trigger_cost
from benchmarks.membership_fixtures import REAL_TEXT, Attacked, fixtures, prepare
from benchmarks.pretrained import minilm
from benchmarks.speed_import import import_time
from benchmarks.speed_memory import memory
from benchmarks.speed_passes import batch_sizes, long_prompts, paraphrases, passes
from benchmarks.speed_sizes import by_size
from benchmarks.speed_triggers import triggers

ABSENT = "not measured: no clone there, or no such model installed"


def measurements(arguments: argparse.Namespace) -> Mapping[str, Callable[[], object]]:
    """Each part by its name; nothing runs yet."""
    attacked: dict[str, Attacked] = {}

    def text(kind: str) -> Attacked:
        if kind not in attacked:
            found = {fixture.name: fixture for fixture in fixtures(arguments.data, arguments.records, epochs=1)}
            attacked[kind] = prepare(found.get(kind, found["synthetic"]), seed=0, shadows=0)
        return attacked[kind]

    def peers(judged: Attacked) -> dict[str, object]:
        clones = {name: arguments.peers / name for name in speed_peers.PEERS}
        return {
            name: speed_peers.compare(name, clone, judged, arguments.repeats) if clone.is_dir() else ABSENT
            for name, clone in clones.items()
        }

    def trigger_peer(classifier: tuple[PreTrainedModel, Any] | None, records: int) -> object:
        clone = arguments.peers / "OpenBackdoor"
        if classifier is None or not clone.is_dir():
            return ABSENT
        return triggers(clone, *classifier, records, arguments.repeats)

    return {
        "scores_over_bare_pass": lambda: by_size(text("questions"), arguments.repeats),
        "naive_over_bare_pass": lambda: passes(text("questions"), arguments.repeats),
        "paraphrases": lambda: paraphrases(text("synthetic"), 5, arguments.repeats),
        "long_prompts": lambda: long_prompts(arguments.repeats),
        "batch_sizes": lambda: batch_sizes(text("questions"), arguments.repeats),
        "trigger_sweep_over_bare_pass": lambda: trigger_cost.cost(
            *trigger_cost.small(), trigger_cost.notes(arguments.trigger_records), arguments.repeats
        ),
        "memory": memory,
        "plugin_import": lambda: import_time(arguments.repeats),
        "peers": lambda: peers(speed_peers.plain(text("notes"))),
        "peers_larger_model": lambda: peers(speed_peers.larger(text("notes"))),
        "trigger_peer": lambda: trigger_peer(trigger_cost.small(), arguments.trigger_records),
        "trigger_peer_larger_model": lambda: trigger_peer(minilm(trigger_cost.LABELS, trigger_cost.CONTEXT), 2),
    }


def main() -> None:
    """Measure all parts but those skipped, and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=REAL_TEXT)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--trigger-records", type=int, default=40)
    parser.add_argument("--peers", type=Path, default=Path(".."))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip", default="", help="comma-separated names of parts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name, measure in measurements(arguments).items():
        if name not in arguments.skip.split(","):
            found[name] = measure()
            print(json.dumps({name: found[name]}), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
