"""The command line: ``mlflow-clinsec audit | demo | finetune | badclm``. The MLproject's entry points call these.

Exit codes of ``audit``: 0 pass, 1 fail, 2 error, 3 inconclusive. Everything heavy is imported inside commands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from mlflow_clinsec import __version__

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
EXIT_ERROR = 2
DEFAULT = "default"
"""What an MLproject parameter says to mean "leave it out"; MLproject parameters cannot be empty."""


@click.group()
@click.version_option(__version__, prog_name="mlflow-clinsec")
def main() -> None:
    """Privacy and integrity audits of clinical language models, logged to MLflow."""


@main.command()
@click.option("--model-uri", default="none", help="MLflow model URI; 'none' audits precomputed columns.")
@click.option("--data-path", required=True, help="CSV, Parquet or JSON-lines file with one record a row.")
@click.option("--config", "config_path", required=True, help="YAML or JSON file with the evaluator_config.")
@click.option("--run-name", default="clinsec audit", show_default=True)
def audit(model_uri: str, data_path: str, config_path: str, run_name: str) -> None:
    """Audit a logged model and log the outcome. Exits 0 pass, 1 fail, 2 error, 3 inconclusive."""
    from mlflow_clinsec.command_audit import audit_files

    model = None if model_uri == "none" else model_uri
    decision = guarded(lambda: audit_files(model, data_path, config_path, run_name))
    click.echo(f"verdict: {decision}")
    sys.exit(EXIT_CODES[decision])


@main.command()
@click.option("--patients", default=DEFAULT, help="Size of the synthetic corpus; smaller is faster and less certain.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def demo(patients: str, seed: int) -> None:
    """Train three small models on synthetic notes, audit each, and print one table."""
    from mlflow_clinsec.demo import run_demo

    count = None if patients == DEFAULT else whole_number("--patients", patients)
    as_expected = guarded(lambda: run_demo(count, seed, click.echo))
    sys.exit(0 if as_expected else 1)


def whole_number(option: str, text: str) -> int:
    """A positive whole number given as text, or exit code 2."""
    if not text.isdecimal() or int(text) < 1:
        refuse(f"{option}: expected a whole number of at least 1 or {DEFAULT!r}, got {text!r}")
    return int(text)


def guarded(action: Callable[[], Any]) -> Any:
    """Run, and turn what a user can mend into one line and exit code 2."""
    from mlflow.exceptions import MlflowException

    from mlflow_clinsec.errors import ClinSecError

    try:
        return action()
    except (ClinSecError, MlflowException, FileNotFoundError) as error:
        refuse(str(error))


def refuse(message: str) -> NoReturn:
    """Print one error line and stop."""
    click.echo(f"error: {message}", err=True)
    sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
