"""One audit of generated records from end to end, by one process here and by two workers on Ray: what each step takes.

Run by ``python -m benchmarks.scale --audit RECORDS``. Each audit has a process, and so a peak of memory, of its own.
Records are short and the model is as small as models get, so that the engine's work shows beside the model's.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import mlflow

from benchmarks.scale_parts import TIMES, TimedWorker, generate, memory_mib, reset_peak, save_model, settings
from mlflow_clinsec.engine import gather, large, ray_pool
from mlflow_clinsec.results import AuditReport

ATTACKS = ["loss", "min_k_plus_plus"]
WORDS = 8
PART = 10_000


def audits(folder: Path, records: int) -> dict[str, Any]:
    """Both audits, and what Ray adds to the CPU seconds of scoring."""
    generate(folder / "records", records, words=WORDS)
    save_model(folder / "model", width=16, layers=1, heads=1)
    here, there = _apart(folder, "local"), _apart(folder, "ray")
    return {
        "records": records,
        "words_each": WORDS,
        "attacks": ATTACKS,
        "same_bits": here.pop("told") == there.pop("told"),
        "local": here,
        "ray_2_workers": there,
        "overhead": there["scoring_cpu_s"] / here["scoring_cpu_s"] - 1,
        "overhead_with_ray_itself": (there["scoring_cpu_s"] + there["ray_itself_cpu_s"]) / here["scoring_cpu_s"] - 1,
    }


def _apart(folder: Path, engine: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale_audit", str(folder), engine]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(found.splitlines()[-1]))


class CountedPool(ray_pool._Pool):
    """Notes what Ray's own processes have taken, before the actors are stopped."""

    def stop(self) -> None:
        (Path(os.environ[TIMES]).parent / "processes.json").write_text(json.dumps(dict(_descendants(os.getpid()))))
        super().stop()


def one_audit(folder: Path, engine: str) -> dict[str, Any]:
    """One audit, and its times and memory by step."""
    model = mlflow.pyfunc.load_model(str(folder / "model"))
    scale = {"part_records": PART, "batch_records": 500, "workers": 2 if engine == "ray" else 1}
    config = settings(str(folder / "records"), str(folder / "model"), ATTACKS, engine=engine, scale=scale)
    times = folder / f"times-{engine}"
    times.mkdir()
    os.environ[TIMES] = str(times)
    ray_pool.RemoteWorker, ray_pool._Pool = TimedWorker, CountedPool  # type: ignore[misc]
    found: dict[str, Any] = {}
    real = gather.gathered

    def gathered(*given: Any) -> Any:
        reset_peak()
        found["before_mib"], wall, cpu = memory_mib("VmRSS"), time.perf_counter(), time.process_time()
        rows = real(*given)
        found["scoring_wall_s"] = time.perf_counter() - wall
        found["driver_scoring_cpu_s"] = time.process_time() - cpu
        found["scoring_peak_mib"] = memory_mib("VmHWM")
        found["numbers_mib"] = sum(values.nbytes for values in rows.columns.values()) / 2**20
        found["statistics_from"] = time.process_time()
        return rows

    started = time.perf_counter()
    with mock.patch.object(large, "gathered", gathered):
        report = large.run_large_audit(config, model)
    found["whole_wall_s"] = time.perf_counter() - started
    found["statistics_cpu_s"] = time.process_time() - found.pop("statistics_from")
    found["peak_mib"] = memory_mib("VmHWM")
    return found | _workers(times, found["driver_scoring_cpu_s"], report) | {"told": _told(report)}


def _workers(times: Path, driver: float, report: AuditReport) -> dict[str, Any]:
    """CPU seconds of scoring in all processes; of Ray's own apart, and without loading models."""
    records = report.data_summary["records"]
    each = {int(file.name): sum(map(float, file.read_text().split())) for file in times.iterdir()}
    whole = driver + sum(each.values())
    found = {"worker_cpu_s": list(each.values()), "scoring_cpu_s": whole, "records_per_cpu_s": records / whole}
    kept = times.parent / "processes.json"
    if each and kept.exists():
        seconds = {int(pid): taken for pid, taken in json.loads(kept.read_text()).items()}
        found["ray_itself_cpu_s"] = sum(taken for pid, taken in seconds.items() if pid not in each)
    return found


def _descendants(parent: int) -> Iterator[tuple[int, float]]:
    """CPU seconds of every process that this one began, directly or not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, fields = int(stat.parent.name), stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == parent:
            yield pid, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            yield from _descendants(pid)


def _told(report: AuditReport) -> str:
    """Digest of all scores and estimates."""
    digest = hashlib.blake2b()
    for result in report.results:
        estimates = sorted((name, found.value, found.low, found.high) for name, found in result.estimates.items())
        digest.update(repr((result.name, result.status, estimates)).encode())
        digest.update(b"" if result.scores is None else result.scores.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(json.dumps(one_audit(Path(sys.argv[1]), sys.argv[2])))
