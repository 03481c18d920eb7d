"""``mlflow-clinsec canaries``: canaries for a training set, and the manifest that an audit reads afterwards."""

from __future__ import annotations

import secrets

from mlflow_clinsec.datasets.canaries import CanaryColumns, plant
from mlflow_clinsec.datasets.manifest import refuse_place, write_private
from mlflow_clinsec.files import read_table

SEED_BITS = 32


def make_canaries(
    data_path: str, records_path: str, manifest_path: str, count: int, seed: int | None, columns: CanaryColumns
) -> int:
    """Write the canaries to add to a training set, in its columns, and the manifest of all canaries.

    The training set itself is only read. Both files are CSV or JSON by suffix, mode 0600, and never written over.

    Args:
        count: canaries to make; fair coins choose about half of them as records to add.
        seed: of canaries and coins; None draws one, so that nobody can make the same canaries.

    Returns:
        Number of records to add.

    Raises:
        ClinSecError: what a user can mend.
    """
    refuse_place(manifest_path, "manifest path")  # both, before either is written: half a pair is useless
    refuse_place(records_path, "records path")
    planted = plant(read_table(data_path), count, secrets.randbits(SEED_BITS) if seed is None else seed, columns)
    write_private(planted.manifest, manifest_path, "manifest path")
    write_private(planted.records, records_path, "records path")
    return len(planted.records)
