"""What numbers depend on is in the name of a checkpoint, and all workers score in the precision of the driver."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine import checkpoint, gather, loading
from mlflow_clinsec.engine.checkpoint import state_of
from mlflow_clinsec.engine.columns import Columns
from mlflow_clinsec.engine.loading import WorkerPlan
from mlflow_clinsec.engine.options import ScaleOptions
from mlflow_clinsec.engine.rows import Rows
from mlflow_clinsec.engine.shards import Part
from mlflow_clinsec.engine.worker import Worker
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.precision_guard import NOT_MEANT, Deviation
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.protocols import Target

PART = Part(0, "a.parquet", 0, 2, 0, (1, 1))
ROWS = Rows({"record": np.arange(2), "score/loss": np.arange(2) / 3})
SCORED = {"loss": "00"}
ROUNDED = Deviation(0.001, 1.0).told("a mean loss")


def config_of(tmp_path: Path, **parts: Any) -> AuditConfig:
    privacy = {"member": "member", "attacks": ["loss"], **parts.pop("privacy", {})}
    scale = {"checkpoint": str(tmp_path / "kept"), "model_uri": "models:/m-1"}
    return AuditConfig.from_mapping({"privacy": privacy, "data_path": "records", "scale": scale, **parts})


def held(config: AuditConfig, model_id: str = "m-1", precision: str = "") -> bool:
    """Whether the part is found for this model; kept afterwards."""
    target = Target("none", "causal-lm", digest="a sample of the weights", precision=precision)
    kept = gather.checkpoint_of(config, SimpleNamespace(model_id=model_id), target)
    assert kept is not None
    found = kept.find(PART, SCORED) is not None
    kept.keep(PART, ROWS, SCORED)
    return found


@pytest.fixture(autouse=True)
def uuids(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Ids of the models behind URIs, which an alias may move to another one."""
    found = {"models:/m-1": "1", "models:/base@good": "2"}
    monkeypatch.setattr(mlflow.models, "get_model_info", lambda uri: SimpleNamespace(model_uuid=found[uri]))
    return found


def test_models_whose_sampled_weights_are_the_same_are_told_apart(tmp_path: Path) -> None:
    """A backdoor may be one row of the embeddings, which the digest of a sample does not see."""
    config = config_of(tmp_path)
    assert [held(config), held(config), held(config, "m-2")] == [False, True, False]


def test_precision_as_it_was_settled(tmp_path: Path) -> None:
    config = config_of(tmp_path, scoring={"precision": "bfloat16"})
    assert [held(config, precision=told) for told in (ROUNDED, ROUNDED, NOT_MEANT)] == [False, True, False]


def test_a_changed_manifest_of_canaries(tmp_path: Path) -> None:
    manifest = tmp_path / "canaries.json"
    manifest.write_text("[]")
    config = config_of(tmp_path, privacy={"canaries": str(manifest)})
    assert [held(config), held(config)] == [False, True]
    manifest.write_text("[ ]")
    assert not held(config)


def test_an_alias_that_names_another_model(tmp_path: Path, uuids: dict[str, str]) -> None:
    config = config_of(tmp_path, privacy={"reference": "models:/base@good"})
    assert [held(config), held(config)] == [False, True]
    uuids["models:/base@good"] = "3"
    assert not held(config)


def test_the_state_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "weights"
    file.write_bytes(b"12")
    before = state_of(str(tmp_path / "model"))
    assert [(name, size) for name, size, _ in before] == [("weights", 2)]
    file.write_bytes(b"123")
    assert state_of(str(tmp_path / "model")) != before


def worker(config: AuditConfig, precision: str) -> Worker:
    target = Target("none", "causal-lm", precision=precision)
    head = AuditData((), (), np.empty(0, dtype=np.int64))
    return Worker(config, target, Columns("text", None, None, "member", None), b"key", head)


@pytest.mark.parametrize(("told", "sent"), [(ROUNDED, "bfloat16"), (NOT_MEANT, "auto")])
def test_workers_are_asked_for_what_the_driver_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, sent: str
) -> None:
    config = config_of(tmp_path, engine="ray", scoring={"precision": "bfloat16"})
    plans: list[WorkerPlan] = []

    def score(parts: list[Part], plan: WorkerPlan, scale: ScaleOptions) -> list[Any]:
        plans.append(plan)
        return []

    monkeypatch.setattr(gather, "score_with_ray", score)
    assert list(gather._scored([PART], worker(config, told), None)) == []
    assert [plan.config.scoring.precision for plan in plans] == [sent]


def test_a_worker_that_cannot_do_so_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = SimpleNamespace(disable=lambda: None, load_model=lambda uri: None)
    stand_in = SimpleNamespace(tracing=done, pyfunc=done, set_tracking_uri=lambda uri: None)
    monkeypatch.setattr(loading, "mlflow", stand_in)
    monkeypatch.setattr(loading, "make_worker", lambda config, model, key: worker(config, NOT_MEANT))
    WorkerPlan(config_of(tmp_path), "models:/m-1", "", b"key").build()
    with pytest.raises(TargetError, match=r"scoring\.precision"):
        WorkerPlan(config_of(tmp_path, scoring={"precision": "bfloat16"}), "models:/m-1", "", b"key").build()


def test_an_attack_that_failed_is_tried_again(tmp_path: Path) -> None:
    """Memory that ran out once must not stand in every later audit of the model."""
    target = Target("none", "causal-lm", digest="d")
    kept = gather.checkpoint_of(config_of(tmp_path), SimpleNamespace(model_id="m-1"), target)
    assert kept is not None
    failing = Rows({"record": np.arange(2)}, {"zlib": (Status.FAILED.value, "out of memory")})
    kept.keep(PART, ROWS, SCORED)
    kept.keep(PART, failing, {"zlib": "11"})
    assert kept.find(PART, SCORED) is not None
    assert kept.find(PART, {"zlib": "11"}) is None
    kept.keep(PART, Rows({"record": np.arange(2), "score/zlib": np.ones(2)}), {"zlib": "11"})
    found = kept.find(PART, {**SCORED, "zlib": "11"})
    assert found is not None
    assert "zlib" not in found.reasons


def test_a_part_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = gather.checkpoint_of(
        config_of(tmp_path), SimpleNamespace(model_id="m-1"), Target("n", "causal-lm", digest="d")
    )
    assert kept is not None

    def full(*_: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "to_bytes", full)
    with pytest.raises(OSError, match="no space"):
        kept.keep(PART, ROWS, SCORED)
    assert not list((tmp_path / "kept").glob("*.part"))
