"""``mlflow-clinsec cohort``: a table for training and audits from the files of MIMIC-III or eICU."""

from __future__ import annotations

from typing import Any

import click

from mlflow_clinsec.cli_support import guarded


@click.command("cohort")
@click.option("--source", required=True, help="'mimic-iii' or 'eicu'.")
@click.option("--path", required=True, help="Folder with the database's CSV files; they are only read.")
@click.option("--out", required=True, help="CSV or Parquet file to write. It is patient data and stays local.")
@click.option("--hours", default=48.0, show_default=True, help="Length of the window from ICU admission on.")
@click.option("--least-age", default=18, show_default=True, help="Youngest age at admission, in years.")
@click.option("--brackets", default="remove", show_default=True, help="'remove', 'replace' or 'keep' [** ... **].")
@click.option("--rows", default="stay", show_default=True, help="One row per 'stay' or per 'note'.")
@click.option("--seed", default=0, show_default=True, help="Of the parts train, validation and test, by patient.")
def cohort(source: str, path: str, out: str, **settings: Any) -> None:
    """Build an in-hospital-mortality cohort of ICU notes, and print who was left out and why."""
    for line in guarded(lambda: make_cohort(source, path, out, settings)):
        click.echo(line)


def make_cohort(source: str, path: str, out: str, settings: dict[str, Any]) -> list[str]:
    """Build and write a cohort.

    Returns:
        The flow table and the number of rows by label, as lines; free of text and ids.

    Raises:
        ClinSecError: what a user can mend, before anything is written.
    """
    from mlflow_clinsec.datasets.cohort.build import build_cohort
    from mlflow_clinsec.datasets.cohort.options import CohortOptions
    from mlflow_clinsec.datasets.cohort.write import refuse_output, write_cohort
    from mlflow_clinsec.strict import parse

    options = parse(CohortOptions, settings, "cohort")
    refuse_output(out)
    built = build_cohort(source, path, options)
    write_cohort(built.frame, out)
    counts = ", ".join(f"{count} {label}" for label, count in built.frame["label"].value_counts().items())
    return [*built.flow.to_string(index=False).splitlines(), f"wrote {len(built.frame)} rows ({counts})"]
