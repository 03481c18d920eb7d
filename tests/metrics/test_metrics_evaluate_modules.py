"""The Hugging Face modules, loaded from the installed package with the hub off."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mlflow_clinsec import metrics
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.stats.bootstrap import METRICS, ranking_bootstrap


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``evaluate`` copies modules into a cache; a fresh one proves that nothing is left over from another load."""
    import evaluate.config

    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", folder / "modules")
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", folder / "metrics")
        forget_loaded_modules()
        yield folder
    forget_loaded_modules()


def forget_loaded_modules() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "evaluate_modules"]:
        del sys.modules[name]


def scored() -> tuple[list[float], list[int], list[int]]:
    rng = np.random.default_rng(0)
    member = np.arange(240) < 120
    return (rng.normal(size=240) + member).tolist(), member.astype(int).tolist(), (np.arange(240) // 4).tolist()


def test_membership_figures_are_those_of_the_statistics() -> None:
    scores, member, group = scored()
    found = metrics.load("membership_inference").compute(
        predictions=scores, references=member, groups=group, seed=3, n_boot=200
    )
    expected = ranking_bootstrap({"s": scores}, member, group, np.random.default_rng(3), 200)["s"].as_mapping()
    for name in METRICS:
        for key, value in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
            assert found[key] == pytest.approx(getattr(expected[name], value), nan_ok=True)
    assert found["n_patients"] == 60
    assert math.isnan(found["tpr_at_0_1pct_fpr"])  # 120 non-members cannot show one in a thousand


def test_a_loss_is_a_score_turned_round() -> None:
    metric = metrics.load("membership_inference")
    assert metric.compute(predictions=[0.9, 0.8, 0.3, 0.1], references=[1, 0, 1, 0])["auc"] == 0.75
    loss = metric.compute(
        predictions=[0.1, 0.2, 0.7, 0.9], references=[True, False, True, False], larger_means_member=False
    )
    assert loss["auc"] == 0.75


def test_batches_add_up() -> None:
    metric = metrics.load("membership_inference")
    metric.add_batch(predictions=[0.9, 0.8], references=[1, 0])
    metric.add_batch(predictions=[0.3, 0.1], references=[1, 0])
    assert metric.compute()["auc"] == 0.75


def test_membership_flags_are_checked() -> None:
    with pytest.raises(DataError, match="0/1"):
        metrics.load("membership_inference").compute(predictions=[0.1, 0.2], references=[1, 2])


def test_attack_success_with_and_without_clean_predictions() -> None:
    metric = metrics.load("attack_success_rate")
    truth, triggered = ["died"] * 4 + ["alive"], ["alive", "alive", "alive", "died", "alive"]
    plain = metric.compute(predictions=triggered, references=truth, target_label="alive")
    assert (plain["asr"], plain["n_records"]) == (0.75, 4)
    assert plain["asr_low"] < 0.75 < plain["asr_high"]
    assert "excess" not in plain
    clean = ["died", "died", "alive", "died", "alive"]
    full = metric.compute(
        predictions=triggered, references=truth, target_label="alive", clean_predictions=clean, groups=list("aabbc")
    )
    assert full["base_rate"] == 0.25
    assert full["label_flip_rate"] == pytest.approx(2 / 3)
    assert full["excess"] == 0.5


def test_scores_stay_off_the_disk(cache: Path) -> None:
    metric = metrics.load("membership_inference")
    metric.add_batch(predictions=[0.9, 0.1], references=[1, 0])
    assert list(cache.rglob("*.arrow")) == []


def test_unknown_names_are_met_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'membership_inference'\? Allowed: attack_success_rate"):
        metrics.load("membership_inferense")


@pytest.mark.parametrize("name", metrics.NAMES)
def test_descriptions_name_their_inputs_and_outputs(name: str) -> None:
    metric = metrics.load(name)
    assert metric.features is not None
    assert set(metric.features) == {"predictions", "references"}
    assert "groups: patient of each record" in metric.inputs_description


def test_importing_the_package_imports_neither_library() -> None:
    code = "import sys, mlflow_clinsec.metrics; sys.exit(bool({'evaluate', 'mlflow', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
