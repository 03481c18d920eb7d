"""The canary audit: what was planted is found, what was not is not, and no secret gets out."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.datasets.canaries import CanaryColumns, Planted, plant
from mlflow_clinsec.datasets.manifest import read_canaries, write_private
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.privacy import table
from mlflow_clinsec.privacy.canary import CANARY
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.read import read_records
from mlflow_clinsec.report.files import save_report
from mlflow_clinsec.results import AttackResult, Family, Status
from mlflow_clinsec.stats.epsilon import one_run_epsilon
from mlflow_clinsec.targets.fakes import always_leaks, never_leaks
from mlflow_clinsec.targets.protocols import Target

NOTES = generate_corpus(30, 2).notes
ATTACK = CANARY.with_options(MembershipOptions(bootstrap=200, permutations=999))
FRAME = NOTES.assign(member=[i % 2 == 0 for i in NOTES["patient_id"].factorize()[0]])


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Planted, str]:
    made = plant(NOTES, 80, 3, CanaryColumns(label="outcome"))
    path = str(tmp_path / "manifest.json")
    write_private(made.manifest, path, "manifest")
    return made, path


def _config(path: str, **privacy: Any) -> AuditConfig:
    settings = {"member": "member", "group": "patient_id", "attacks": ["loss"], "canaries": path, "bootstrap": 200}
    return AuditConfig.from_mapping({"privacy": settings | privacy, "data": {"text": "text"}})


def _audit(path: str, target: Target) -> AttackResult:
    config = _config(path)
    found = run_audit(read_records(FRAME, config), target, config).find(Family.PRIVACY, "canary")
    assert found is not None
    return found


def test_planted_canaries_are_found_although_the_audited_data_hold_none(planted: tuple[Planted, str]) -> None:
    made, path = planted
    result = _audit(path, always_leaks(read_canaries(path, {})))
    included = int(made.manifest["included"].sum())
    assert result.estimates["auc"].value == 1.0
    ceiling = math.log2(80 - included + 1)
    assert result.estimates["mean_exposure"].value == pytest.approx(ceiling)
    assert result.values["exposure_ceiling"] == pytest.approx(ceiling)
    assert result.values["p_value"] < 1e-9
    assert result.estimates["epsilon_lower"].value > 2
    assert result.values["n_members"] == included


def test_nothing_is_found_where_nothing_was_learnt(planted: tuple[Planted, str]) -> None:
    result = _audit(planted[1], never_leaks())
    assert result.values["p_value"] > 0.01
    assert result.estimates["epsilon_lower"].value == 0
    assert result.estimates["mean_exposure"].low < result.values["exposure_at_chance"]


def test_numbers_are_those_of_the_scores() -> None:
    # a classifier that gives canary i a probability of p[i] of its label
    rng = np.random.default_rng(5)
    member = rng.random(60) < 0.5
    probability = np.clip(0.4 + 0.2 * member + 0.1 * rng.normal(size=60), 0.01, 0.99)
    canaries = AuditData(
        ("",) * 60, tuple(f"c{i}" for i in range(60)), np.arange(60), labels=("alive",) * 60, member=member
    )

    class Classifier:
        labels = ("alive", "died")

        def predict_proba(self, texts: Any) -> Any:
            row = probability[[int(text[1:]) for text in texts]]
            return np.stack([row, 1 - row], axis=1)

    data = AuditData(("",), ("x",), np.arange(1), canaries=canaries)
    result = run_attack(
        ATTACK, data, Target("c", "text-classifier", label_scorer=Classifier()), np.random.default_rng(0)
    )
    assert result.access == "probability"
    u = mannwhitneyu(probability[member], probability[~member]).statistic
    assert result.estimates["auc"].value == pytest.approx(u / (member.sum() * (~member).sum()))
    expected = one_run_epsilon(probability, member, np.random.default_rng(1))  # no ties: the generator does not matter
    assert result.estimates["epsilon_lower"] == expected


def _classifier(labels: tuple[str, ...]) -> Target:
    class Uniform:
        def __init__(self) -> None:
            self.labels, self.asked = labels, 0

        def predict_proba(self, texts: Any) -> Any:
            self.asked += 1
            return np.full((len(texts), 2), 0.5)

    return Target("c", "text-classifier", label_scorer=Uniform())


def test_a_label_that_the_model_lacks_fails_before_any_forward_pass(planted: tuple[Planted, str]) -> None:
    data = AuditData(("",), ("x",), np.arange(1), canaries=read_canaries(planted[1], {}))
    target = _classifier(("0", "1"))
    result = run_attack(ATTACK, data, target, np.random.default_rng(0))
    assert result.status is Status.FAILED
    assert "80 records have a true label that the model does not have" in result.reason
    assert target.label_scorer is not None
    assert target.label_scorer.asked == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("target", "reason"),
    [(_classifier(("a", "b")), "holds no labels"), (Target("f", "function"), "needs token log-probabilities")],
)
def test_what_cannot_be_read_is_skipped_with_a_reason(target: Target, reason: str) -> None:
    canaries = AuditData(("",) * 4, ("a", "b", "c", "d"), np.arange(4), member=np.arange(4) % 2 == 0)
    data = AuditData(("",), ("x",), np.arange(1), canaries=canaries)
    result = run_attack(ATTACK, data, target, np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert reason in result.reason


def test_the_manifest_alone_brings_the_test_in(planted: tuple[Planted, str]) -> None:
    def chosen(config: AuditConfig) -> list[str]:
        assert config.privacy is not None
        return [attack.name for attack in table.select(config.privacy, never_leaks())]

    assert "canary" in chosen(_config(planted[1]))
    assert "canary" in chosen(_config(planted[1], attacks="default"))
    without = AuditConfig.from_mapping({"privacy": {"member": "member", "attacks": "all"}})
    assert "canary" not in chosen(without)


def test_a_missing_manifest_stops_the_audit_while_reading() -> None:
    with pytest.raises(DataError, match=r"privacy\.canaries: no such file"):
        read_records(FRAME, _config("nowhere.json"))


def test_canaries_among_the_audited_records_are_left_out(
    planted: tuple[Planted, str], caplog: pytest.LogCaptureFixture
) -> None:
    made, path = planted
    added = made.records.assign(member=True, patient_id=[f"c{i}" for i in range(len(made.records))])
    data = read_records(pd.concat([FRAME, added], ignore_index=True), _config(path))
    assert data.responses == tuple(FRAME["text"])
    assert data.member is not None
    assert data.member.tolist() == FRAME["member"].tolist()
    assert f"{len(added)} audited records are canaries" in caplog.text
    with pytest.raises(DataError, match="all records of one side are canaries"):
        read_records(pd.concat([FRAME[~FRAME["member"]], added], ignore_index=True), _config(path))


def test_canaries_are_held_against_no_policy(planted: tuple[Planted, str]) -> None:
    config = _config(planted[1])
    report = run_audit(read_records(FRAME, config), always_leaks(read_canaries(planted[1], {})), config)
    assert all(check.subject != "canary" for check in report.verdict.checks)


def test_no_secret_in_any_artifact_or_log(
    planted: tuple[Planted, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, path = planted
    config = _config(path)
    with caplog.at_level(logging.DEBUG):
        report = run_audit(read_records(FRAME, config), always_leaks(read_canaries(path, {})), config)
        files = save_report(report, tmp_path / "out")
    text = caplog.text + repr(report) + "".join(file.read_bytes().decode("utf-8", "replace") for file in files)
    secrets = made.manifest["response"].str.extract(r"Study number ([\d ]+)\.")[0]
    assert len(secrets.dropna()) == 80
    assert not [secret for secret in secrets if secret in text]
    assert not [name for name in made.manifest["canary_id"] if name in text]
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["schema_version"]


@pytest.mark.slow
def test_a_trained_model_gives_its_canaries_away() -> None:
    """A tiny language model trained from scratch on question-answer pairs with canaries among them."""
    from mlflow_clinsec.targets.huggingface import causal_lm_target
    from mlflow_clinsec.training.causal_lm import finetune_causal_lm
    from mlflow_clinsec.training.models import small_causal_lm
    from mlflow_clinsec.training.options import TrainingOptions
    from mlflow_clinsec.training.tokenizers import train_tokenizer

    planted = plant(generate_corpus(5, 2).qa, 40, 8)
    manifest = planted.manifest
    frame = planted.frame.sample(frac=1, random_state=0)
    others = generate_corpus(60, 77).qa
    tokenizer = train_tokenizer([*others["prompt"], *others["response"]], "causal-lm", 600, 256)
    model = small_causal_lm(tokenizer, seed=0, width=128, layers=2, heads=2, context=256, dropout=0.0)
    options = TrainingOptions(epochs=20, learning_rate=3e-3, max_length=256, batch_size=8)
    finetune_causal_lm(model, tokenizer, frame["prompt"].tolist(), frame["response"].tolist(), options)
    included = manifest["included"].to_numpy()
    canaries = AuditData(tuple(manifest["prompt"]), tuple(manifest["response"]), np.arange(40), member=included)
    data = AuditData(("",), ("x",), np.arange(1), canaries=canaries)
    result = run_attack(ATTACK, data, causal_lm_target(model, tokenizer), np.random.default_rng(0))
    assert result.status is Status.OK
    assert result.estimates["auc"].value > 0.9
    assert result.values["p_value"] < 1e-4
    assert result.estimates["epsilon_lower"].value > 0.5
    assert result.estimates["mean_exposure"].low > result.values["exposure_at_chance"]
