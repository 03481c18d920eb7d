"""``mlflow-clinsec gate``: exit code and words of a logged audit held against a policy."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from mlflow_clinsec.cli_support import guarded, refuse

if TYPE_CHECKING:
    from mlflow_clinsec.gate.gate import Outcome

NONE = "none"
"""What an MLproject parameter says to mean "leave it out"."""


@click.command()
@click.option("--run-id", required=True, help="Run that holds the audit.")
@click.option("--policy", "policy_path", required=True, help="YAML or JSON file with the limits.")
@click.option("--baseline-run-id", default=NONE, help="Run of the audit to compare with; before what the policy says.")
@click.option("--prefix", default="", help="metric_prefix of the audit, where the run holds several.")
@click.option("--tracking-uri", default=NONE, help="MLflow server; MLFLOW_TRACKING_URI when left out.")
@click.option("--set-tag", is_flag=True, help="Tag the audited model version with the verdict.")
@click.option(
    "--set-alias", default=NONE, help="Alias to point at the audited model version on PASS; sets the tag, too."
)
@click.option("--model", "model_uri", default=NONE, help="Which version, where it is not known: models:/name/version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def gate(
    run_id: str,
    policy_path: str,
    baseline_run_id: str,
    prefix: str,
    tracking_uri: str,
    set_tag: bool,
    set_alias: str,
    model_uri: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Hold a logged audit against a policy. Exits 0 pass, 1 fail, 2 error, 3 inconclusive."""
    if as_json and quiet:
        refuse("--json and --quiet exclude each other")
    marked = set_tag or set_alias != NONE
    if model_uri != NONE and not marked:
        refuse("--model: only --set-tag and --set-alias read it")

    def action() -> tuple[Outcome, list[str]]:
        outcome = _decide(run_id, policy_path, _given(baseline_run_id), prefix, _given(tracking_uri))
        return outcome, _mark(outcome, _given(set_alias), _given(model_uri)) if marked else []

    outcome, done = guarded(action)
    if not quiet:
        click.echo(_json(outcome, done) if as_json else "\n".join([*_lines(outcome), *done]))
    sys.exit(outcome.exit_code)


def _given(text: str) -> str | None:
    return None if text == NONE else text


def _decide(run_id: str, policy_path: str, baseline: str | None, prefix: str, tracking_uri: str | None) -> Outcome:
    import mlflow

    from mlflow_clinsec.files import read_config
    from mlflow_clinsec.gate.gate import gate as decide_on
    from mlflow_clinsec.gate.gate import read_policy

    policy = read_policy(read_config(policy_path, "--policy"), baseline)
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    return decide_on(mlflow.MlflowClient(), run_id, policy, prefix)


def _mark(outcome: Outcome, alias: str | None, model_uri: str | None) -> list[str]:
    import mlflow

    from mlflow_clinsec.gate.registry import audited_version, mark

    client = mlflow.MlflowClient()
    version = audited_version(client, outcome.audit.run_id, model_uri)
    return mark(client, version, outcome.decision, outcome.audit.run_id, alias)


def _json(outcome: Outcome, done: list[str]) -> str:
    from mlflow_clinsec.gate.gate import to_json

    return json.dumps({**to_json(outcome), "registry": done}, indent=2)


def _lines(outcome: Outcome) -> list[str]:
    """The verdict, one line a check, and what did not run."""
    from mlflow_clinsec.report.verdict_words import check_title
    from mlflow_clinsec.report.wording import visible

    verdict = outcome.decided.verdict
    checks = [f"  {c.decision.value:<12} {check_title(c)}: {visible(c.explanation, limit=500)}" for c in verdict.checks]
    notes = [f"  note: {visible(note, limit=500)}" for note in verdict.notes]
    return [f"verdict: {verdict.decision.value} ({visible(outcome.audit.model_name)})", *checks, *notes]
