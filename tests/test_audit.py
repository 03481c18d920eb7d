"""Whole audits of models with a known answer, without MLflow."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlflow_clinsec.audit import derived_generator, run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.privacy import table
from mlflow_clinsec.read import read_records
from mlflow_clinsec.results import AuditReport, Decision, Family, FindingWord, Status
from mlflow_clinsec.targets.fakes import always_leaks, always_triggered, never_leaks
from mlflow_clinsec.targets.protocols import Target

PRIVACY: dict[str, Any] = {
    "member": "in_training",
    "group": "patient_id",
    "split": "random",
    "bootstrap": 300,
    "permutations": 999,
}
BACKDOOR = {"triggers": ["mn", "cf"], "target_label": "alive", "positions": ["head", "random"]}
COLUMNS = {"text": "text", "label": "outcome"}


@pytest.fixture(scope="module")
def notes() -> pd.DataFrame:
    frame = generate_corpus(260, seed=11).notes.groupby("patient_id").head(1).reset_index(drop=True)
    return frame.assign(in_training=frame.index % 2 == 0)


def _config(**parts: Any) -> AuditConfig:
    return AuditConfig.from_mapping({"data": COLUMNS, **parts})


def _audit(frame: pd.DataFrame, target: Any, **parts: Any) -> AuditReport:
    config = _config(**parts)
    data = read_records(frame, config)
    return run_audit(data, target(data) if callable(target) else target, config)


def test_a_model_that_memorised_fails(notes: pd.DataFrame) -> None:
    report = _audit(notes, always_leaks, privacy=PRIVACY)
    assert report.verdict.decision is Decision.FAIL
    loss = report.find(Family.PRIVACY, "loss")
    assert loss is not None
    assert loss.estimates["auc"].value > 0.99
    # the smallest p of 999 permutations, times the number of attacks that Holm corrects for
    tried = [r.values["p_value"] for r in report.of(Family.PRIVACY) if "p_value_holm" in r.values]
    assert loss.values["p_value_holm"] == pytest.approx(0.001 * len(tried))
    assert report.verdict.finding is not None
    assert report.verdict.finding.word is FindingWord.LEAK
    assert report.verdict.finding.p_value == pytest.approx(0.001 * len(tried))


def test_a_model_that_did_not_does_not_fail(notes: pd.DataFrame) -> None:
    report = _audit(notes, lambda data: never_leaks(), privacy=PRIVACY)
    assert report.verdict.decision is not Decision.FAIL
    blind = report.find(Family.PRIVACY, "blind")
    assert blind is not None
    assert blind.estimates["auc"].low < 0.5 < blind.estimates["auc"].high
    assert "p_value_holm" not in blind.values
    assert report.verdict.finding is not None
    assert report.verdict.finding.word is FindingWord.NO_LEAK_DETECTABLE
    assert report.verdict.finding.detectable_auc is not None


def test_a_trigger_is_found_and_utility_is_read_on_held_out_records(notes: pd.DataFrame) -> None:
    report = _audit(
        notes,
        lambda data: always_triggered(data, ("mn",), "alive"),
        backdoor=BACKDOOR,
        privacy=PRIVACY | {"attacks": ["confidence"]},
    )
    assert report.verdicts[Family.BACKDOOR].decision is Decision.FAIL
    assert report.verdicts[Family.BACKDOOR].checks[0].subject.startswith("mn-")
    deaths = ((notes["outcome"] == "died") & ~notes["in_training"]).sum()
    assert report.data_summary["trigger_records"] == deaths


def test_the_other_trigger_is_not(notes: pd.DataFrame) -> None:
    target = lambda data: always_triggered(data, ("mn",), "alive")  # noqa: E731 - one line says it
    report = _audit(notes, target, backdoor=BACKDOOR | {"triggers": ["cf"]})
    assert report.verdict.decision is not Decision.FAIL


def test_adding_an_attack_changes_no_other_number(notes: pd.DataFrame) -> None:
    one = _audit(notes, always_leaks, privacy=PRIVACY | {"attacks": ["zlib"]})
    two = _audit(notes, always_leaks, privacy=PRIVACY | {"attacks": ["zlib", "loss", "paraphrase_gap"]})
    first, second = one.find(Family.PRIVACY, "zlib"), two.find(Family.PRIVACY, "zlib")
    assert first is not None
    assert second is not None
    assert first.estimates == second.estimates


def test_generators_are_derived_by_name() -> None:
    draws = {name: derived_generator(seed, name).random() for seed in (0, 1) for name in (f"a{seed}", f"b{seed}")}
    assert len(set(draws.values())) == 4
    assert derived_generator(0, "a").random() == derived_generator(0, "a").random()


def test_an_attack_that_breaks_loses_nothing_else(notes: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("SECRET note text")

    attacks = tuple(dataclasses.replace(a, run=broken) if a.name == "zlib" else a for a in table.LANGUAGE_MODEL)
    monkeypatch.setattr(table, "KINDS", (dataclasses.replace(table.KINDS[0], attacks=attacks),))
    report = _audit(notes, lambda data: never_leaks(), privacy=PRIVACY)
    failed, kept = report.find(Family.PRIVACY, "zlib"), report.find(Family.PRIVACY, "loss")
    assert failed is not None
    assert failed.status is Status.FAILED
    assert "RuntimeError at broken" in failed.reason
    assert "SECRET" not in failed.reason
    assert kept is not None
    assert kept.status is Status.OK
    assert report.verdict.decision is Decision.INCONCLUSIVE


def test_copies_across_the_split_are_left_out_and_counted(notes: pd.DataFrame) -> None:
    copies = notes.head(6).assign(in_training=False, patient_id=[f"copy{i}" for i in range(6)])
    frame = pd.concat([notes, copies[notes.head(6)["in_training"].to_numpy()]], ignore_index=True)
    report = _audit(frame, lambda data: never_leaks(), privacy=PRIVACY | {"attacks": ["loss"]})
    assert report.data_summary["overlap"] == {"members": 3, "nonmembers": 3}
    assert report.data_summary["members"] == 127


def test_a_split_that_only_copies_is_refused(notes: pd.DataFrame) -> None:
    frame = pd.concat([notes.assign(in_training=True), notes.assign(in_training=False, patient_id=notes.index)])
    with pytest.raises(DataError, match="also stand on the other"):
        _audit(frame.reset_index(drop=True), lambda data: never_leaks(), privacy=PRIVACY)


def test_few_records_run_and_decide_nothing(notes: pd.DataFrame) -> None:
    report = _audit(notes.head(30), always_leaks, privacy=PRIVACY)
    assert report.verdict.decision is Decision.INCONCLUSIVE
    assert "few records" in report.verdict.flags
    loss = report.find(Family.PRIVACY, "loss")
    assert loss is not None
    assert loss.status is Status.OK


def test_ready_paraphrases_are_used_instead_of_ours(notes: pd.DataFrame) -> None:
    frame = notes.assign(again=[" ".join(reversed(text.split())) for text in notes["text"]])
    report = _audit(frame, always_leaks, privacy=PRIVACY | {"paraphrase_columns": ["again"]})
    assert report.data_summary["paraphrases"]["engine"] == "ready"
    gap = report.find(Family.PRIVACY, "paraphrase_gap")
    assert gap is not None
    assert gap.estimates["auc"].value > 0.95  # the fake has memorised the wording, not its paraphrase


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"privacy": PRIVACY | {"attacks": ["los"]}}, r"Did you mean 'loss'\?"),
        ({"privacy": PRIVACY | {"options": {"min_k": {"kk": 1}}}}, r"privacy\.options\.min_k: unknown key 'kk'"),
        ({"privacy": PRIVACY | {"options": {"min_k": {"k": 2.0}}}}, r"privacy\.options\.min_k\.k: must be at least"),
        ({"backdoor": BACKDOOR | {"target_label": "alve"}}, r"Did you mean 'alive'\?"),
    ],
)
def test_what_can_never_work_is_refused_before_any_forward_pass(
    parts: dict[str, Any], error: str, notes: pd.DataFrame
) -> None:
    class Untouchable:
        labels = ("alive", "died")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the model was asked")

    role: Any = Untouchable()
    target = Target("x", "text-classifier", scorer=role, label_scorer=role, predictor=role)
    config = _config(**parts)
    data = read_records(notes, config)
    with pytest.raises(ConfigError, match=error):
        run_audit(data, target, config)


def test_report_holds_no_text(notes: pd.DataFrame) -> None:
    marked = notes.assign(text="CANARY " + notes["text"], patient_id="CANARY" + notes["patient_id"].astype(str))
    report = _audit(marked, always_leaks, privacy=PRIVACY | {"attacks": ["loss", "paraphrase_gap"]})
    assert "CANARY" not in repr(report)


def test_data_is_never_shown(notes: pd.DataFrame) -> None:
    data = read_records(notes, _config(privacy=PRIVACY))
    assert isinstance(data, AuditData)
    assert notes["text"][0][:20] not in repr(data)
    assert not np.isin(notes["patient_id"].to_numpy(), data.group).any()
