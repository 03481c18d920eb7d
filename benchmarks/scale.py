"""What audits on files cost: records per second, what Ray adds to it, the driver's memory, and statistics of a million.

    python -m benchmarks.scale [--records 4000] [--memory 10000,100000] [--scores 1000000]
    python -m benchmarks.scale --audit 1000000

prints one JSON object last; the second form audits so many records from end to end, twice. Records are generated and
the model is tiny and untrained: the engine's own work is not hidden behind the model's. CPU seconds are reported beside
wall seconds, because they do not depend on what else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import mlflow
import numpy as np

from benchmarks.scale_audit import audits
from benchmarks.scale_parts import (
    FOUR,
    NOTES_EACH,
    TIMES,
    TimedWorker,
    generate,
    memory_mib,
    reset_peak,
    save_model,
    settings,
)
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine import ray_pool
from mlflow_clinsec.engine import worker as worker_module
from mlflow_clinsec.engine.columns import columns_of
from mlflow_clinsec.engine.gather import gathered
from mlflow_clinsec.engine.loading import make_worker
from mlflow_clinsec.engine.rows import Rows
from mlflow_clinsec.engine.shards import head_of, parts_of
from mlflow_clinsec.engine.worker import Worker
from mlflow_clinsec.stats.bootstrap import group_means, ranking_bootstrap
from mlflow_clinsec.stats.epsilon import epsilon_lower
from mlflow_clinsec.stats.tests import permutation_auc_test
from mlflow_clinsec.targets.protocols import Target


def throughput(folder: Path, records: int) -> dict[str, Any]:
    """Scoring by one worker here and by two on Ray, on the same files."""
    data, model = generate(folder / "records", records), save_model(folder / "model")
    loaded = mlflow.pyfunc.load_model(model)
    parts = parts_of(data, 500)

    def score(config: AuditConfig) -> tuple[Rows, float, float]:
        worker = make_worker(config, loaded, b"key")
        wall, cpu = time.perf_counter(), time.process_time()
        return gathered(parts, worker, loaded, None), time.perf_counter() - wall, time.process_time() - cpu

    here, wall_here, cpu_here = score(settings(data, model))
    os.environ[TIMES] = str(folder / "times")
    (folder / "times").mkdir()
    ray_pool.RemoteWorker = TimedWorker  # type: ignore[misc]
    there, wall_there, cpu_driver = score(settings(data, model, engine="ray", scale={"workers": 2}))
    seconds = [sum(map(float, file.read_text().split())) for file in (folder / "times").iterdir()]
    same = all(here.columns[name].tobytes() == there.columns[name].tobytes() for name in here.columns)
    return {
        "records": records,
        "same_bits": same,
        "local": {"wall_s": wall_here, "cpu_s": cpu_here, "records_per_cpu_s": records / cpu_here},
        "ray_2_workers": {"wall_s": wall_there, "worker_cpu_s": seconds, "driver_cpu_s": cpu_driver},
        "overhead": (sum(seconds) + cpu_driver) / cpu_here - 1,
        "load_average": os.getloadavg()[0],
    }


def driver_memory(records: int) -> dict[str, float]:
    """Peak memory of a process that reads so many notes of 200 words and keeps four scores and the digests of each."""
    with tempfile.TemporaryDirectory() as place:
        data = generate(Path(place) / "records", records, words=200)
        command = [sys.executable, "-m", "benchmarks.scale", "--read", data]
        return dict(
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        )


def read_only(data: str) -> dict[str, float]:
    """The driver's part of an audit, with scores that cost nothing."""

    def scored(batch: AuditData, *others: Any) -> Rows:
        return Rows({f"score/{name}": np.zeros(len(batch)) for name in FOUR})

    config = settings(data, "none", scale={"part_records": 10_000, "batch_records": 500})
    frame = head_of(data, 8)
    blank = AuditData((), (), np.array([], dtype=np.int64))
    worker = Worker(config, Target("none", "none"), columns_of(frame, config), b"key", blank)
    reset_peak()
    before, started = memory_mib("VmRSS"), time.process_time()
    with mock.patch.object(worker_module, "score_batch", scored):
        rows = gathered(parts_of(data, 10_000), worker, None, None)
    return {
        "records": len(rows),
        "before_mib": before,
        "peak_mib": memory_mib("VmHWM"),
        "rows_mib": sum(values.nbytes for values in rows.columns.values()) / 2**20,
        "cpu_s": time.process_time() - started,
    }


def statistics(records: int) -> dict[str, float]:
    """CPU seconds of all that one attack's scores are judged by: defaults of 1,000 draws and 5,000 permutations."""
    rng = np.random.default_rng(0)
    patients = records // NOTES_EACH
    group = np.repeat(np.arange(patients), NOTES_EACH)
    member = np.repeat(rng.random(patients) < 0.5, NOTES_EACH)
    scores = rng.normal(size=group.size) + 0.2 * member + np.repeat(rng.normal(size=patients), NOTES_EACH)
    steps: dict[str, Callable[[], Any]] = {
        "bootstrap_s": lambda: ranking_bootstrap({"a": scores}, member, group, rng),
        "patient_bootstrap_s": lambda: _patients(scores, member, group, rng),
        "permutation_s": lambda: permutation_auc_test(scores, member, group, rng, 5000),
        "epsilon_s": lambda: epsilon_lower(scores, member, group, rng),
    }
    found: dict[str, float] = {"scores": records, "patients": patients}
    for name, step in steps.items():
        started = time.process_time()
        step()
        found[name] = time.process_time() - started
    found["all_s"] = sum(found[name] for name in steps)
    return found | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _patients(scores: Any, member: Any, group: Any, rng: np.random.Generator) -> Any:
    means, flags, codes = group_means(scores, member, group)
    return ranking_bootstrap({"a": means}, flags, codes, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--memory", default="10000,100000")
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--audit", type=int, default=0)
    parser.add_argument("--read", default="")
    chosen = parser.parse_args()
    if chosen.read:
        print(json.dumps(read_only(chosen.read)))
        return
    if chosen.audit:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(audits(Path(folder), chosen.audit)))
        return
    found: dict[str, Any] = {"statistics": statistics(chosen.scores)} if chosen.scores else {}
    found["driver_memory"] = [driver_memory(int(size)) for size in filter(None, chosen.memory.split(","))]
    if chosen.records:
        with tempfile.TemporaryDirectory() as folder:
            found["throughput"] = throughput(Path(folder), chosen.records)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
