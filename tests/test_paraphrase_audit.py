"""Paraphrase engines in whole audits: what reaches the report, and that a second audit only scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from masked_models import mask_tokenizer, tiny_masked_lm

from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.perturb.rules import RulesEngine
from mlflow_clinsec.read import read_records
from mlflow_clinsec.results import AuditReport, Family, Status
from mlflow_clinsec.targets.fakes import never_leaks
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.masked_lm import MaskedLM, masked_lm_target
from mlflow_clinsec.targets.protocols import Target

ATTACKS = ["paraphrase_gap", "paraphrase_only"]


@pytest.fixture(scope="module")
def notes() -> pd.DataFrame:
    frame = generate_corpus(60, seed=3).notes.groupby("patient_id").head(1).reset_index(drop=True)
    return frame.assign(member=frame.index % 2 == 0)


def audited(frame: pd.DataFrame, target: Target, **privacy: Any) -> AuditReport:
    settings = {"member": "member", "bootstrap": 200, "permutations": 999, **privacy}
    config = AuditConfig.from_mapping({"privacy": settings, "data": {"text": "text"}})
    return run_audit(read_records(frame, config), target, config)


def scores(report: AuditReport) -> list[np.ndarray]:
    found = [report.find(Family.PRIVACY, name) for name in ATTACKS]
    return [result.scores for result in found if result is not None and result.scores is not None]


def test_a_second_audit_calls_no_engine_and_gets_identical_scores(
    notes: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"attacks": ATTACKS, "paraphrase": {"count": 2, "cache": str(tmp_path / "kept")}}
    first = audited(notes, never_leaks(), **settings)

    def no_call(*_: object) -> list[str]:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(RulesEngine, "propose", no_call)
    second = audited(notes, never_leaks(), **settings)
    assert len(scores(first)) == len(scores(second)) == 2
    for one, other in zip(scores(first), scores(second), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.data_summary["paraphrases"] == second.data_summary["paraphrases"]


def test_words_from_a_masked_model_make_paraphrases_and_neighbours(notes: pd.DataFrame) -> None:
    infiller = MaskedLM(tiny_masked_lm(), mask_tokenizer(), TargetOptions())
    target = dataclasses.replace(never_leaks(), infiller=infiller)
    report = audited(
        notes,
        target,
        attacks=[*ATTACKS, "neighbourhood"],
        masked_model="named but injected",
        paraphrase={"engine": "masked", "count": 1, "masked": {"top": 5}},
        options={"neighbourhood": {"neighbours": 2, "words": 2}},
    )
    assert report.data_summary["paraphrases"]["engine"] == "masked"
    neighbourhood = report.find(Family.PRIVACY, "neighbourhood")
    assert neighbourhood is not None
    assert neighbourhood.status is Status.OK
    assert neighbourhood.values["coverage"] == 1.0


def test_by_default_a_masked_model_meets_the_attacks_made_for_it(notes: pd.DataFrame) -> None:
    target = masked_lm_target(tiny_masked_lm(), mask_tokenizer(), name="bert", options=TargetOptions())
    report = audited(notes, target, options={"masked_loss": {"masks": 2}})
    statuses = {result.name: result.status for result in report.results}
    assert statuses == {"masked_loss": Status.OK, "masked_energy": Status.SKIPPED, "blind": Status.OK}
