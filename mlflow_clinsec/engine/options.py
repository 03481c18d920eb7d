"""Settings of audits that read their records from ``data_path``."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_clinsec.strict import setting

NEUTRAL = ("workers", "gpus_per_worker", "checkpoint", "retries", "model_uri")
"""Settings that change no number, and so are no part of the configuration's digest."""


@dataclass(frozen=True)
class ScaleOptions:
    """How records of ``data_path`` are read and scored.

    Attributes:
        workers: processes that score, each with the model loaded once; ``engine: ray`` only.
        cpus_per_worker: threads of one worker. Part of the numbers: another count adds floats in another order.
        gpus_per_worker: GPUs of one worker; a fraction shares one. ``engine: ray`` only.
        part_records: records that are handed out, checkpointed and retried as one.
        batch_records: records whose text one worker holds at once, and among which forward batches are composed.
        sample: records on which run those tests that must see all texts together; see ``docs/scale.md``.
        checkpoint: folder (mode 0700) in which finished parts are kept, numbers only, for this audit and later ones
            of the same model; none when left out.
        retries: times that a part is tried again after a worker died.
        model_uri: where workers load the model from, for models that do not know it themselves.
    """

    workers: int = setting(1, low=1, high=10_000)
    cpus_per_worker: int = setting(1, low=1, high=1024)
    gpus_per_worker: float = setting(0.0, low=0.0, high=64.0)
    part_records: int = setting(10_000, low=1)
    batch_records: int = setting(500, low=1)
    sample: int = setting(10_000, low=1)
    checkpoint: str | None = None
    retries: int = setting(3, low=0, high=100)
    model_uri: str | None = None
