"""One SQLite store with a clean and a leaking audit, for all tests of the gate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from tracking_stores import tracking_store

sys.path.insert(0, str(Path(__file__).parent))
from audited import Audited, audit


@pytest.fixture(scope="package")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    with tracking_store(tmp_path_factory.mktemp("gate")) as uri:
        with mlflow.start_run() as clean:
            clean_result = audit(0.0)
        with mlflow.start_run() as leaking:
            leaking_result = audit(0.3)
        with mlflow.start_run() as twice:
            audit(0.3, 60, metric_prefix="before/")
            audit(0.0, 60, metric_prefix="after/")
        with mlflow.start_run() as empty:
            pass
        names = (clean.info.run_id, leaking.info.run_id, twice.info.run_id, empty.info.run_id)
        yield Audited(uri, *names, clean_result, leaking_result)
