"""Pages that are written from the code stand in the folder as written, and say what the code does."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.backdoor.table import ATTACKS as TRIGGER_TESTS
from mlflow_clinsec.cli import main
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.docs_pages.__main__ import write
from mlflow_clinsec.docs_pages.attack_page import attack_page, readings
from mlflow_clinsec.docs_pages.configuration import every_key
from mlflow_clinsec.docs_pages.metrics_read import MEMBERSHIP
from mlflow_clinsec.docs_pages.pages import pages
from mlflow_clinsec.docs_pages.settings import kind_words, settings_of, shown
from mlflow_clinsec.privacy.table import ATTACKS
from mlflow_clinsec.read import read_records
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.fakes import always_answers, always_leaks, always_triggered
from mlflow_clinsec.tracking import metric_values

DOCS = Path(__file__).resolve().parents[2] / "docs"
EVERY = (*ATTACKS, *TRIGGER_TESTS)
PRIVACY = {"member": "member", "group": "patient_id", "split": "random", "bootstrap": 200, "permutations": 999}


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run make docs-pages"


def test_every_example_has_a_title_and_a_command() -> None:
    _, *sections = pages()["examples.md"].split("\n## ")
    for section in sections:
        title, _, text = section.partition("\n")
        assert title, text[:60]
        assert ".ipynb" in text or "\n\nRun `" in text, title


def test_no_page_of_an_attack_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "attacks").glob("*.md")} == {attack.name for attack in EVERY}


def test_writing_takes_away_stale_pages_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "gone.md").write_text("old")
    (tmp_path / "mine.md").write_text("kept")
    write(tmp_path)
    assert not (tmp_path / "attacks" / "gone.md").exists()
    assert (tmp_path / "mine.md").read_text() == "kept"
    assert (tmp_path / "attacks" / "loss.md").is_file()


def _every_setting(cls: type, path: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for setting in settings_of(cls):
        found.append((path + setting.name, setting.meaning))
        if setting.nested is not None:
            found += _every_setting(setting.nested, f"{path}{setting.inner}.")
    return found


def test_every_key_of_the_configuration_says_what_it_means() -> None:
    told = dict(_every_setting(AuditConfig))
    assert set(told) == {key for key in every_key() if not key.endswith("<name>")}
    assert [key for key, meaning in told.items() if not meaning] == []


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.name)
def test_every_option_of_an_attack_says_what_it_means(attack: Attack) -> None:
    silent = [s.name for s in settings_of(type(attack.options), attack.options) if not s.meaning]
    assert silent == []


def test_every_command_and_option_stands_on_the_page() -> None:
    page = pages()["command-line.md"]
    for name, command in main.commands.items():
        section = page.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert all(option in section for parameter in options for option in parameter.opts)
        arguments = [str(p.name).upper() for p in command.params if isinstance(p, click.Argument)]
        assert all(argument in section for argument in arguments)


def test_types_and_defaults_in_words() -> None:
    assert kind_words(str | tuple[str, ...] | None) == "text or list of text"
    assert kind_words(int) == "whole number"
    assert shown(("a", "b")) == "`a` `b`"
    assert shown(False) == "`false`"
    assert shown(0) == "`0`"
    assert shown(None) == shown(()) == shown({}) == "none"


@cache
def _notes() -> Any:
    frame = generate_corpus(90, seed=3).notes.groupby("patient_id").head(1).reset_index(drop=True)
    return frame.assign(member=frame.index % 2 == 0)


def _results(make_target: Any, **parts: Any) -> tuple[dict[str, AttackResult], dict[str, float]]:
    config = AuditConfig.from_mapping({"data": {"text": "text", "label": "outcome"}, **parts})
    data = read_records(_notes(), config)
    report = run_audit(data, make_target(data), config)
    return {r.name: r for r in report.results if r.status is Status.OK}, metric_values(report)


def _last_parts(metrics: dict[str, float], family: str, name: str) -> set[str]:
    found = (m.rpartition("/")[2] for m in metrics if m.startswith(f"clinsec/{family}/{name}/"))
    return {re.sub(r"_(low|high)$", "", part) for part in found}


def test_what_membership_attacks_log_is_what_their_pages_list() -> None:
    results, metrics = _results(always_leaks, privacy=PRIVACY)
    assert {"loss", "reference", "blind"} <= set(results)
    for attack in ATTACKS:
        if attack.name in results:
            assert _last_parts(metrics, "privacy", attack.name) == set(readings(attack)), attack.name


def _triggered(data: AuditData) -> Any:
    return always_triggered(data, ["mn"], "alive")


def _answers(data: AuditData) -> Any:
    return always_answers(data, ["mn"], "comfort care")


TESTS = {
    "tests": ["trigger", "trigger_grid", "attention_focus", "clean_utility", "filters"],
    "options": {"trigger_grid": {"windows": [32], "positions": ["head"]}},
}
PROMPTED = {
    "tests": ["trigger_generation", "trigger_logprob"],
    "options": {
        "trigger_generation": {"target_text": "comfort care"},
        "trigger_logprob": {"targets": ["comfort care"], "alternatives": ["full code"]},
    },
}


@pytest.mark.parametrize(("make_target", "asked"), [(_triggered, TESTS), (_answers, PROMPTED)])
def test_what_trigger_tests_log_is_what_their_pages_list(make_target: Any, asked: dict[str, Any]) -> None:
    shared = {"triggers": ["mn"], "target_label": "alive", "positions": ["head"], "max_records": 40}
    if make_target is _answers:
        shared.pop("target_label")
    results, metrics = _results(make_target, backdoor={**shared, **asked})
    assert set(results) == set(asked["tests"])
    for test in TRIGGER_TESTS:
        if test.name in results:
            assert _last_parts(metrics, "backdoor", test.name) == set(readings(test)), test.name


@pytest.mark.parametrize("name", ["canary", "regurgitation", "trigger_search"])
def test_every_number_that_a_special_test_promises_is_explained(name: str) -> None:
    attack = next(a for a in EVERY if a.name == name)
    promised = (inspect.getdoc(attack.run) or "").partition("Returns:")[2].partition("Raises:")[0]
    numbers = set(re.findall(r"``(?:to_<label>/)?([a-z_]+)(?:_<side>)?``", promised)) - {"found", "detector"}
    explained = {re.sub(r"_(non)?members$", "", metric) for metric in readings(attack)} | set(readings(attack))
    assert numbers
    assert {re.sub(r"_$", "", number) for number in numbers} <= explained


def test_a_page_names_source_limits_and_departures() -> None:
    page = attack_page(next(a for a in ATTACKS if a.name == "rmia"))
    assert "Zarifzadeh 2024, arXiv 2312.03262, section 3" in page
    assert "| `population` | number | `0.25` | 0.05 to 0.5 |" in page
    assert "`policy.max_auc`" in page
    assert MEMBERSHIP["patient_auc"] in page
    assert "`policy." not in attack_page(next(a for a in ATTACKS if a.name == "blind"))


def test_planning_figures_are_those_of_a_textbook_loop() -> None:
    # Hanley & McNeil's errors for 100 and 100 patients; one-sided 5% at the threshold, 80% power at the value.
    def error(auc: float, n: int = 100) -> float:
        q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        variance = auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (n - 1) * (q2 - auc**2)
        return (variance / n**2) ** 0.5

    found = next(k / 1000 for k in range(500, 1000) if k / 1000 - 0.5 >= 1.6449 * error(0.5) + 0.8416 * error(k / 1000))
    row = next(line for line in pages()["how-many-patients.md"].splitlines() if line.startswith("| 100 |"))
    assert float(row.split("|")[2]) == pytest.approx(found, abs=0.006)


def test_more_patients_never_show_less() -> None:
    section = pages()["how-many-patients.md"].partition("## To decide")[0]
    rows = [
        [float(cell) for cell in line.split("|")[2:-1]] for line in section.splitlines() if re.match(r"\| \d", line)
    ]
    assert len(rows) == 6
    assert all(column == sorted(column, reverse=True) for column in map(list, zip(*rows, strict=True)))
    assert all(row == sorted(row) for row in rows)
