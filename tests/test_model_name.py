"""What reports call a model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow.pyfunc import PythonModel

from mlflow_clinsec.model_name import model_name


class Constant(PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return ["alive"] * len(model_input)


def logged(name: str, run: str | None = "ward model, week 3") -> Any:
    if run is None:
        return mlflow.pyfunc.log_model(name=name, python_model=Constant(), pip_requirements=["mlflow"])
    with mlflow.start_run(run_name=run):
        return mlflow.pyfunc.log_model(name=name, python_model=Constant(), pip_requirements=["mlflow"])


@pytest.mark.parametrize(("name", "shown"), [("mortality", "mortality"), ("model", "ward model, week 3")])
def test_a_name_that_says_nothing_is_replaced_by_that_of_its_run(tracking: str, name: str, shown: str) -> None:
    assert model_name(mlflow.pyfunc.load_model(logged(name).model_uri)) == shown


def test_a_run_that_is_gone_leaves_the_id(tracking: str) -> None:
    model = SimpleNamespace(model_id=mlflow.initialize_logged_model(name="model").model_id)
    assert model_name(model) == model.model_id
    unknown = SimpleNamespace(metadata=SimpleNamespace(artifact_path="model", run_id="0" * 32))
    assert model_name(unknown) == "model"


def test_what_was_never_logged() -> None:
    assert model_name(None) == "precomputed columns"
    assert model_name(SimpleNamespace()) == "function"
    older = SimpleNamespace(metadata=SimpleNamespace(artifact_path="mortality", run_id=None))
    assert model_name(older) == "mortality"
