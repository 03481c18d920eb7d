"""What keeping scores between audits saves: forward passes and CPU seconds, as ratios of a first audit.

    python -m benchmarks.cache [--patients N]

Audits a small question-answering model four times over one cache: first; with other attacks; with another policy;
and a new version of the model with the rewrites of the first. Then tests the triggers of a small classifier: first;
again; and those of its new version. Prints one JSON object last.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.cache_triggers import trigger_reuse
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.perturb import paraphrase
from mlflow_clinsec.read import read_records
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.identity import identity
from mlflow_clinsec.training.models import small_causal_lm
from mlflow_clinsec.training.tokenizers import train_tokenizer

FIRST = ["loss", "zlib", "paraphrase_gap"]
OTHERS = ["min_k", "min_k_plus_plus", "paraphrase_gap_z"]


class _Passes:
    """Forward passes of a model's backbone, and rewritten records, since the last look."""

    def __init__(self) -> None:
        self.forward = self.rewritten = 0
        rewrite = paraphrase._rewrites

        def counting(*args: Any) -> Any:
            self.rewritten += 1
            return rewrite(*args)

        mock.patch.object(paraphrase, "_rewrites", counting).start()

    def watch(self, model: Any) -> None:
        """Count this model's passes; its forward is not patched, since a patched model is not known to the cache."""
        backbone = type(model.base_model)
        forward = backbone.forward

        def counting(module: Any, *args: Any, **kwargs: Any) -> Any:
            self.forward += 1
            return forward(module, *args, **kwargs)

        backbone.forward = counting

    def take(self) -> dict[str, int]:
        found = {"forward_passes": self.forward, "records_rewritten": self.rewritten}
        self.forward = self.rewritten = 0
        return found


def main() -> None:
    """Run the audits and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=60)
    patients = parser.parse_args().patients
    records = generate_corpus(patients, seed=0).qa.groupby("patient_id").head(2).reset_index(drop=True)
    records = records.assign(in_training=records["patient_id"].rank(method="dense") % 2 == 0)
    tokenizer = train_tokenizer(records["prompt"] + " " + records["response"], "causal-lm", vocab_size=2000)
    models = [small_causal_lm(tokenizer, seed=seed, width=96, layers=3, heads=3) for seed in (0, 1)]
    passes = _Passes()
    passes.watch(models[0])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def audit(model: Any, attacks: list[str], policy: Mapping[str, Any], kept: bool = True) -> dict[str, float]:
            start = time.process_time()
            _audit(model, tokenizer, records, attacks, policy, folder, kept)
            return {"cpu_seconds": time.process_time() - start, **passes.take()}

        found = {
            "without_cache": audit(models[0], FIRST, {}, kept=False),
            "first": audit(models[0], FIRST, {}),
            "other_attacks": audit(models[0], OTHERS, {}),
            "other_policy": audit(models[0], FIRST, {"max_auc": 0.7}),
            "new_version": audit(models[1], FIRST, {}),
        }
        size = (folder / "cache" / "scores.sqlite").stat().st_size
        triggers = trigger_reuse(40, folder / "triggers")
    print(json.dumps(_summary(found, len(records), size) | _digest_cost(models[0], tokenizer) | {"triggers": triggers}))


def _audit(
    model: Any, tokenizer: Any, records: Any, attacks: list[str], policy: Mapping[str, Any], folder: Path, kept: bool
) -> None:
    config = AuditConfig.from_mapping(
        {
            "privacy": {
                "member": "in_training",
                "group": "patient_id",
                "split": "random",
                "bootstrap": 200,
                "permutations": 999,
                "attacks": attacks,
                "paraphrase": {"cache": str(folder / "rewrites")} if kept else {},
            },
            "data": {"prompt": "prompt", "response": "response"},
            "policy": dict(policy),
        }
    )
    store = Store(folder / "cache", 5.0) if kept else None
    target = causal_lm_target(model, tokenizer, options=TargetOptions(store=store))
    run_audit(read_records(records, config), target, config, store)
    if store is not None:
        store.close()


def _summary(found: Mapping[str, Mapping[str, float]], records: int, size: int) -> dict[str, Any]:
    first = found["first"]
    return {
        "records": records,
        "audits": {name: {key: round(value, 3) for key, value in row.items()} for name, row in found.items()},
        "cache_bytes_per_record": round(size / records),
        "overhead_of_keeping": round(first["cpu_seconds"] / found["without_cache"]["cpu_seconds"], 3),
        **{
            f"{name}_over_first": {
                key: round(found[name][key] / first[key], 3)
                for key in ("cpu_seconds", "forward_passes", "records_rewritten")
            }
            for name in ("other_attacks", "other_policy", "new_version")
        },
    }


def _digest_cost(model: Any, tokenizer: Any) -> dict[str, float]:
    """CPU seconds per gigabyte of weights that telling a model takes."""
    wide = torch.nn.Parameter(torch.randn(25_000_000))
    start = time.process_time()
    identity(model, tokenizer, "cpu")
    without = time.process_time() - start
    model.register_parameter("wide", wide)
    start = time.process_time()
    identity(model, tokenizer, "cpu")
    return {"digest_cpu_seconds_per_gb": round((time.process_time() - start - without) / (wide.nbytes / 1e9), 2)}


if __name__ == "__main__":
    main()
