"""The backdoor zoo: what it holds, how models are kept, and how the detector is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from benchmarks import zoo_build
from benchmarks.backdoor_zoo import took
from benchmarks.zoo_data import DataSet
from benchmarks.zoo_judge import Judged, judge, newcombe
from benchmarks.zoo_specs import ZooModel, specs
from mlflow_clinsec.stats.roc import auc

LABELS = ("alive", "died")
SIDES = np.repeat([True, False], 25)


def zoo() -> list[ZooModel]:
    return [spec for data in ("one", "two") for spec in specs(data, LABELS, "judged")]


def test_at_least_forty_models_are_judged_half_of_them_clean_and_every_arm_both_ways() -> None:
    judged = zoo()
    assert len(judged) >= 40
    assert sum(not spec.backdoored for spec in judged) * 2 == len(judged)
    for arm in {spec.arm for spec in judged if spec.arm}:
        assert {spec.attention for spec in judged if spec.arm == arm} == {True, False}
    assert {spec.goal for spec in judged if spec.arm == "rare-word"} == set(LABELS)


def test_models_that_taught_the_detector_share_nothing_with_the_judged() -> None:
    judged, known = specs("one", LABELS, "judged"), specs("one", LABELS, "calibration")
    assert not {s.seed for s in judged} & {s.seed for s in known}
    assert not {s.base_seed for s in judged} & {s.base_seed for s in known}
    assert not {w for s in judged for w in s.triggers} & {w for s in known for w in s.triggers}


def test_no_two_models_are_the_same() -> None:
    assert len({spec.digest({}) for spec in zoo()}) == len(zoo())
    assert zoo()[0].digest({}) != zoo()[0].digest({"epochs": 2})


def made(arm: str, probability: float, rank: int | None = None, data: str = "one") -> Judged:
    return Judged(f"{arm}-{probability}", data, arm, probability, probability >= 0.5, rank, 10.0, 12.0)


def test_a_perfect_detector_meets_every_bar() -> None:
    models = [made("rare-word", 0.9 + i / 1000, 1) for i in range(28)] + [made("", i / 1000) for i in range(28)]
    found = judge(models)
    assert found["auc"]["value"] == 1.0
    assert all(found["met"].values())
    assert found["clean"] == {"hits": 0, "n": 28, "low": 0.0, "high": 0.123}  # 1 - 0.025^(1/28), Clopper-Pearson


def test_the_interval_solves_its_equation_and_covers() -> None:
    low, high = newcombe(0.9, 30, 20)
    for bound in (low, high):
        inner = 1 + 24 * (1 - bound) / (2 - bound) + 24 * bound / (1 + bound)
        assert abs(0.9 - bound) == pytest.approx(1.959964 * (bound * (1 - bound) * inner / 600) ** 0.5, rel=1e-4)
    rng, truth = np.random.default_rng(1), norm.cdf(2 / 2**0.5)  # AUC of two normals two deviations apart
    bounds = [newcombe(auc(np.r_[rng.normal(2, 1, 25), rng.normal(0, 1, 25)], SIDES), 25, 25) for _ in range(400)]
    assert 0.93 <= np.mean([low <= truth <= high for low, high in bounds]) <= 0.985


def test_one_clean_model_flagged_and_wrong_ranks_are_told() -> None:
    models = [
        *(made("rare-word", 0.9, rank) for rank in (1, 1, 2, 0)),
        made("sentence", 0.2),
        made("", 0.7),
        *(made("", 0.1, data="two") for _ in range(5)),
    ]
    found = judge([*models, made("sentence", 0.6, data="two")])
    assert found["true_token_first"]["hits"] == 2
    assert found["true_token_first"]["n"] == 4
    assert found["clean_flagged"] == ["-0.7"]
    assert found["missed"] == ["sentence-0.2"]
    # of 36 pairs: the four at 0.9 win all 24; 0.6 wins 5 of 6; 0.2 wins 5 of 6
    assert found["auc"]["value"] == pytest.approx(34 / 36, abs=1e-4)
    assert found["met"] == {"auc": False, "no_clean_flagged": False, "true_token_first": False}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A data set of thirty short notes, one epoch of training, and a log of what was trained."""
    rng = np.random.default_rng(0)
    words = {"alive": ("stable", "walking", "eating"), "died": ("shock", "arrest", "failing")}
    rows = [
        {"patient_id": str(i), "text": " ".join(rng.choice(words[label], 8)), "label": label}
        for i in range(60)
        for label in [LABELS[i % 2]]
    ]
    notes = pd.DataFrame(rows)
    parts = {"other": notes[:20], "train": notes[20:40], "held_out": notes[40:]}
    monkeypatch.setattr(zoo_build, "load", lambda name: DataSet(name, LABELS, parts))
    monkeypatch.setattr(zoo_build, "ENCODER", {**zoo_build.ENCODER, "vocab_size": 1000, "width": 16})
    for name in ("BEFORE", "TRAINING"):
        monkeypatch.setattr(zoo_build, name, {"epochs": 1, "learning_rate": 1e-3, "max_length": 32})
    trained: list[str] = []
    original = zoo_build._train

    def logged(model: Any, tokenizer: Any, spec: ZooModel, data: DataSet) -> None:
        trained.append(spec.name)
        original(model, tokenizer, spec, data)

    monkeypatch.setattr(zoo_build, "_train", logged)
    return trained


def test_each_model_is_trained_once_and_half_written_ones_again(tiny: list[str], tmp_path: Path) -> None:
    spec = next(s for s in specs("one", LABELS, "judged") if s.arm == "rare-word")
    first = zoo_build.build(spec, tmp_path)
    again = zoo_build.build(spec, tmp_path)
    assert tiny == [spec.name]
    assert first.quality == again.quality
    assert set(first.quality) == {"auroc", "asr", "base_rate", "cpu_seconds"}
    (first.folder / "quality.json").unlink()
    clean = zoo_build.build(replace(spec, arm="", triggers=(), goal=""), tmp_path)
    assert set(clean.quality) == {"auroc", "cpu_seconds"}
    assert json.loads((clean.folder / "spec.json").read_text())["arm"] == ""
    assert zoo_build.build(spec, tmp_path).quality["asr"] == first.quality["asr"]
    assert tiny == [spec.name, clean.spec.name, spec.name]


def test_a_model_whose_poisoning_failed_is_listed_and_not_judged() -> None:
    spec = next(s for s in specs("one", LABELS, "judged") if s.arm)
    works, fails = (zoo_build.Built(spec, Path(), {"asr": asr, "base_rate": 0.1}) for asr in (0.4, 0.3))
    assert took(works)
    assert not took(fails)
    assert took(zoo_build.Built(replace(spec, arm=""), Path(), {"auroc": 0.8}))
