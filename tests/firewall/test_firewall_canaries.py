"""Nothing that a patient could be known by leaves the process: plant canaries everywhere, audit, search everything.

The short kinds run in the fast suite against a database file; all kinds run in the slow one against a server.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kinds_of_audit import FAILING, SOUND, Audit
from live_server import tracking_server
from planted_records import Planted, plant
from watched import Watched, attempt, stored, watching

QUICK = ("unreadable_file", "no_such_manifest", "bad_column", "function raises_our_own", "function late")
Searched = tuple[set[tuple[str, str, str]], list[str]]
FRAMES_OF_MLFLOW = frozenset({"table datasets", "mlflow.db", "log", "stderr"})
"""Where MLflow describes the frame that it was given, column names included, before it calls an evaluator, and where
others' loggers at DEBUG, which nobody has them at, repeat that. Our own logger is a place of its own."""


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    folder = tmp_path / "local"
    folder.mkdir()
    return plant(folder)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is kept between audits stays on this machine; it is searched all the same."""
    monkeypatch.setenv("CLINSEC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def leaks(planted: Planted, blobs: Iterator[tuple[str, bytes]]) -> set[tuple[str, str]]:
    """(place, field) of everything found outside, apart from the column names that MLflow itself uploads."""
    found = {(place, field) for place, blob in blobs for field in planted.canaries.found_in(blob)}
    return {(place, field) for place, field in found if field != "column name" or place not in FRAMES_OF_MLFLOW}


def outcome_of(audit: Audit, planted: Planted, folder: Path, watched: Watched) -> object:
    """Run it; what it returned is searched like everything else."""
    outcome = attempt(watched, lambda: audit(planted, folder))
    watched.add("returned", f"{getattr(outcome, 'metrics', '')!r} {getattr(outcome, 'artifacts', outcome)!r}")
    return outcome


def searched(kinds: dict[str, Audit], planted: Planted, folder: Path, capture: Any, patch: Any) -> Searched:
    """Run audits one after another; what came out of the process, and which sound ones did not come to an end."""
    found, broken = set(), []
    for kind, audit in kinds.items():
        with watching(patch) as watched:
            outcome = outcome_of(audit, planted, folder, watched)
        out, err = capture.readouterr()
        watched.add("stdout", out)
        watched.add("stderr", err)
        found |= {(kind, *leak) for leak in leaks(planted, watched.as_bytes())}
        broken += [f"{kind}: {outcome!r}"] if kind in SOUND and isinstance(outcome, BaseException) else []
        while mlflow.active_run():
            mlflow.end_run()
    return found, broken


def test_no_canary_leaves_the_process_or_reaches_the_store(
    planted: Planted, tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    kinds = {kind: (SOUND | FAILING)[kind] for kind in QUICK}
    found, _ = searched(kinds, planted, tmp_path / "local", capfd, monkeypatch)
    assert found == set()
    shutil.rmtree(tmp_path / "local")
    assert leaks(planted, stored(tmp_path)) == set()


def test_the_search_would_find_what_the_store_does_hold(planted: Planted, tmp_path: Path, tracking: str) -> None:
    """A run that does log a record: the walk over the store must come upon it in the database and in the files."""
    with mlflow.start_run():
        mlflow.set_tag("note", planted.frame["text"].iloc[0][:200])
        mlflow.log_text(planted.frame["prompt"].iloc[0], "deep/inside.txt")
    shutil.rmtree(tmp_path / "local")
    fields = {field for _, field in leaks(planted, stored(tmp_path))}
    places = {place.rsplit("/", 1)[-1] for place, _ in leaks(planted, stored(tmp_path))}
    assert fields == {"note", "prompt"}
    assert {"table tags", "mlflow.db", "inside.txt"} <= places


@pytest.mark.slow
def test_no_canary_reaches_a_server(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every kind of audit, sound and failing, over HTTP; then the server's files, database and log are searched."""
    assert len(planted.canaries.words) > 2000
    store = tmp_path / "store"
    store.mkdir()
    with tracking_server(store) as address:
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        mlflow.set_experiment("audits")  # an earlier test of this process may have chosen one that this server lacks
        found, broken = searched(SOUND | FAILING, planted, tmp_path / "local", capfd, monkeypatch)
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    found |= {("stored", *leak) for leak in leaks(planted, stored(store))}
    found |= {("cache", *leak) for leak in leaks(planted, stored(tmp_path / "cache"))}
    assert found == set()
    assert broken == []
    assert len(list((store / "artifacts").rglob("audit_card.html"))) >= len(SOUND), "the audits did log their cards"
