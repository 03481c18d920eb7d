"""The MLflow contract: when we evaluate, what importing us costs, and that others are left alone."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest

from mlflow_clinsec.plugin import ClinSecEvaluator, own_config

HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "scipy", "evaluate", "peft")


def test_importing_the_plugin_pulls_in_nothing_heavy() -> None:
    # what `import mlflow.models.evaluation` loads by itself is MLflow's business: compare before and after
    script = (
        "import sys, mlflow.models.evaluation\n"
        "before = set(sys.modules)\n"
        "import mlflow_clinsec.plugin\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        f"print(sorted(new & set({HEAVY!r})), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] False False"


def test_plugin_is_registered_under_its_name() -> None:
    from mlflow.models.evaluation.base import list_evaluators

    assert "clinsec" in list_evaluators()


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        (None, False),
        ({}, False),
        ({"log_model_explainability": False}, False),
        ({"clinsec": {}}, False),
        ({"default": {"privacy": {}}}, False),
        ({"privacy": {"member": "m"}}, True),
        ({"backdoor": {}}, True),
        ({"clinsec": {"backdoor": {}}}, True),
    ],
)
def test_we_evaluate_only_when_asked(config: dict[str, Any] | None, answer: bool) -> None:
    assert ClinSecEvaluator.can_evaluate(model_type="classifier", evaluator_config=config, later="argument") is answer


def test_a_misspelt_key_is_explained_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ClinSecEvaluator.can_evaluate(model_type="x", evaluator_config={"privcy": {"member": "m"}})
    assert "Did you mean 'privacy'?" in caplog.text


def test_somebody_elses_config_is_refused_silently(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ClinSecEvaluator.can_evaluate(model_type="x", evaluator_config={"explainability_algorithm": "exact"})
    assert caplog.text == ""


def test_flat_and_nested_configs_are_the_same() -> None:
    flat = {"privacy": {"member": "m"}}
    assert own_config(flat) == own_config({"clinsec": flat}) == flat
