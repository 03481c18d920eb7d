"""The trigger test on the command line."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pandas as pd
import pytest

from mlflow_clinsec.command_audit import audit_files
from mlflow_clinsec.report.trigger_lines import MOST, reasons_in, trigger_lines


def case(key: str, excess: float, **more: float) -> dict[str, float]:
    numbers = {"asr": 0.1 + excess, "ftr": 0.1, "excess_asr": excess, "p_adjusted": 0.0002, **more}
    return {f"clinsec/backdoor/trigger/{key}/{name}": value for name, value in numbers.items()}


def test_the_largest_excess_comes_first_with_what_would_have_shown() -> None:
    metrics = case("mn-tail", 0.02, smallest_detectable_asr=0.25) | case("cf-head", 0.9, smallest_detectable_asr=0.2)
    assert trigger_lines(metrics) == [
        "trigger cf-head: ASR 1.000, placebos 0.100, excess 0.900, p <0.001; smallest detectable ASR 0.200",
        "trigger mn-tail: ASR 0.120, placebos 0.100, excess 0.020, p <0.001; smallest detectable ASR 0.250",
    ]


def test_what_is_undefined_is_said_and_comes_last() -> None:
    lines = trigger_lines(case("a-head", math.nan) | case("b-head", -0.05))
    assert [line.split(":")[0] for line in lines] == ["trigger b-head", "trigger a-head"]
    assert "excess n/a" in lines[1]
    assert lines[1].endswith("smallest detectable ASR n/a")


def test_why_a_figure_is_undefined_stands_in_its_place() -> None:
    few = {"reason": "withheld: it rests on fewer than 11 records or patients"}
    shown, all_turn = {"reason": ""}, {"reason": "any word inserted brings the target label"}
    estimates = {"a-head/asr": few, "a-head/excess_asr": few, "b-head/asr": shown, "b-head/excess_asr": all_turn}
    results = [
        {"family": "privacy", "name": "loss", "estimates": {"auc": few}},
        {"family": "backdoor", "name": "trigger", "estimates": estimates},
    ]
    metrics = case("a-head", math.nan) | case("b-head", math.nan) | {"clinsec/backdoor/trigger/b-head/asr": 1.0}
    assert trigger_lines(metrics, reasons_in({"results": results})) == [
        "trigger a-head: not defined (withheld: it rests on fewer than 11 records or patients)",
        "trigger b-head: ASR 1.000, placebos 0.100, excess n/a (any word inserted brings the target label), p <0.001; "
        "smallest detectable ASR n/a",
    ]


def test_many_triggers_are_cut_and_counted() -> None:
    metrics: dict[str, float] = {}
    for i in range(MOST + 3):
        metrics |= case(f"t{i}-head", i / 100)
    lines = trigger_lines(metrics)
    assert len(lines) == MOST + 1
    assert lines[-1].startswith("and 3 more")


def test_other_metrics_are_no_triggers() -> None:
    assert trigger_lines({"clinsec/privacy/loss/auc": 0.6, "clinsec/backdoor/trigger/cf/naturalness": 0.1}) == []
    assert trigger_lines({f"before/{name}": value for name, value in case("cf-head", 0.5).items()}) != []


def test_the_command_prints_them(tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluated(**given: Any) -> SimpleNamespace:
        mlflow.set_tag("clinsec.verdict", "FAIL")
        return SimpleNamespace(metrics=case("cf-head", 0.9, smallest_detectable_asr=0.2), artifacts={})

    monkeypatch.setattr(mlflow.models, "evaluate", evaluated)
    pd.DataFrame({"text": ["a"], "label": ["alive"]}).to_csv(tmp_path / "notes.csv", index=False)
    (tmp_path / "config.yaml").write_text("{backdoor: {triggers: [cf]}, data: {text: text, label: label}}")
    printed: list[str] = []
    decision = audit_files(None, str(tmp_path / "notes.csv"), str(tmp_path / "config.yaml"), "run", echo=printed.append)
    assert decision == "FAIL"
    assert printed[0].startswith("run: ")
    assert printed[1:] == trigger_lines(case("cf-head", 0.9, smallest_detectable_asr=0.2))
