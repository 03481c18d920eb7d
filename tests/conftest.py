"""What all tests share: quiet libraries, no hub, one torch thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("clinsec", deadline=None)  # a busy machine is no failure
settings.load_profile("clinsec")

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(autouse=True)
def mlflow_environment() -> Iterator[None]:
    """``mlflow.set_experiment`` exports its choice to child processes: a later test's child must not inherit it."""
    before = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")}
    yield
    for key in [key for key in os.environ if key.startswith("MLFLOW_") and key not in before]:
        del os.environ[key]
    os.environ.update(before)


@pytest.fixture(scope="module", autouse=True)
def no_experiment_of_another_module() -> None:
    """An experiment that an earlier file chose in this process is unknown to the next file's store."""
    if (fluent := sys.modules.get("mlflow.tracking.fluent")) is not None:
        fluent._active_experiment_id = None


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What fixtures of a module audit is kept in a folder of this session, never in the user's own."""
    os.environ["CLINSEC_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache") / "clinsec")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test finds what another one left."""
    folder = tmp_path / "clinsec-cache"
    monkeypatch.setenv("CLINSEC_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[str]:
    """A fresh SQLite store and artifact folder; leaked runs are ended afterwards."""
    from tracking_stores import tracking_store

    with tracking_store(tmp_path) as uri:
        yield uri


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clinical text; tests that need it skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLINSEC_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real data folder not found (set CLINSEC_SHARED_DATA); looked in {folder.name}")
    return folder
