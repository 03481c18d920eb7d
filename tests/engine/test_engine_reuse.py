"""A second audit of the same model over kept parts: what it can find there, it does not ask the model again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from large_audits import QUICK, audit, questions, save_language_model, told, write_parquet
from transformers import GPT2Model

from mlflow_clinsec.engine.division import NUMBERS, RECORD, scored_under, widened
from mlflow_clinsec.privacy import table
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.targets.protocols import Target


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    write_parquet(questions().head(50), folder / "questions")
    save_language_model(folder / "lm", 1)
    return folder


class Passes:
    """Counts forward passes of the model."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = GPT2Model.forward

        def forward(model: Any, *given: Any, **named: Any) -> Any:
            self.count += 1
            return real(model, *given, **named)

        patch.setattr(GPT2Model, "forward", forward)

    def of(self, run: Any) -> tuple[int, dict[str, Any]]:
        before = self.count
        found = told(run())
        return self.count - before, found


def test_another_attack_or_policy_on_the_same_passes_runs_no_model(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch)

    def run(attacks: list[str], kept: str | None = str(tmp_path / "kept"), **settings: Any) -> Any:
        privacy = {**QUICK, "attacks": attacks, "paraphrase": {"count": 1}, **settings.pop("privacy", {})}
        scale = {} if kept is None else {"checkpoint": kept}
        data = {"prompt": "prompt", "response": "response"}
        return audit(str(place / "lm"), str(place / "questions"), privacy=privacy, data=data, scale=scale, **settings)

    other = {"privacy": {"bootstrap": 300, "split": "unknown"}, "policy": {"max_auc": 0.9}}
    assert passes.of(lambda: run(["loss"]))[0] > 0
    count, found = passes.of(lambda: run(["zlib", "min_k_plus_plus", "combiner"], **other))
    assert count == 0
    assert found == passes.of(lambda: run(["zlib", "min_k_plus_plus", "combiner"], None, **other))[1]
    new_options = {"privacy": {"options": {"min_k": {"k": 0.5}}}}
    assert passes.of(lambda: run(["min_k"], **new_options))[0] > 0
    assert passes.of(lambda: run(["paraphrase_gap"]))[0] > 0
    assert passes.of(lambda: run(["loss", "paraphrase_gap"]))[0] == 0  # what was there before has stayed


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ("loss", {"zlib", "min_k", "min_k_plus_plus", "combiner"}),
        ("confidence", {"entropy", "modified_entropy", "per_class"}),
        ("label_only", set()),
        ("masked_loss", set()),
    ],
)
def test_only_what_costs_no_further_pass_is_scored_too(asked: str, more: set[str]) -> None:
    config = PrivacyConfig("member", attacks=(asked,))
    target = Target("none", "none")
    found = {attack.name for attack in widened(table.select(config, target), config, target)}
    assert found & (RECORD | NUMBERS) == {asked, *more}


def test_rewrites_that_only_the_sample_gets_change_no_column_of_the_combiner() -> None:
    """Otherwise a table without their columns would pass for one with them, and the other way about."""

    def digest(*more: str) -> str:
        config = PrivacyConfig("member", attacks=("combiner", *more))
        return scored_under(table.select(config, Target("none", "none")))["combiner"]

    assert digest() == digest("paraphrase_gap_z") != digest("paraphrase_gap")
