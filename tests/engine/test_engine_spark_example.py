"""The example for Spark, called as ``mapInPandas`` calls it, on pandas frames."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from large_audits import notes, save_language_model

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.read import read_records
from mlflow_clinsec.targets.huggingface import causal_lm_target
from mlflow_clinsec.targets.resolve import resolve

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "spark_scoring.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("spark_scoring", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_executors_find_an_audits_losses_and_let_no_text_out(example: Any, tmp_path: Path) -> None:
    path, frame = save_language_model(tmp_path / "lm", 1), notes().head(40)
    found = list(example.score_frames(iter([frame.iloc[:25], frame.iloc[25:]]), path, b"key"))
    assert [len(part) for part in found] == [25, 15]
    raw = mlflow.pyfunc.load_model(path).get_raw_model()
    scorer = causal_lm_target(raw.model, raw.tokenizer).scorer
    assert scorer is not None
    expected = scorer.token_stats([""] * 40, list(frame["text"]))
    np.testing.assert_allclose(np.concatenate([part["nll"] for part in found]), expected.nll(), atol=1e-4)
    assert [name.split()[0] for name in example.SCHEMA.split(", ")] == list(found[0].columns)
    cells = {str(cell) for part in found for column in ("text", "patient") for cell in part[column]}
    assert not cells & {*frame["text"], *frame["patient_id"].astype(str)}


def test_what_comes_out_can_be_audited_without_the_model(example: Any, tmp_path: Path) -> None:
    path = save_language_model(tmp_path / "lm", 1)
    [losses] = example.score_frames(iter([notes().head(40)]), path, b"key")
    config = AuditConfig.from_mapping(
        {
            "data": {"text": "text"},
            "privacy": {"member": "in_training", "group": "patient", "attacks": ["loss"]},
            "precomputed": {"nll": "nll", "n_tokens": "n_tokens"},
        }
    )
    target = resolve(None, data=read_records(losses, config))
    assert target.scorer is not None
    assert target.precomputed


def test_a_missing_flag_is_no_flag(example: Any) -> None:
    frame = notes().head(2).astype({"in_training": object})
    frame.loc[frame.index[0], "in_training"] = None
    with pytest.raises(ValueError, match=r"in_training: 1 values are missing"):
        next(example.score_frames(iter([frame]), "models:/none", b"key"))
