"""``mlflow-clinsec reproduce-badclm``: from command-line words to a grid, checked before anything heavy."""

from __future__ import annotations

import sys
from typing import Any

import click

from mlflow_clinsec.cli_support import DEFAULT, flag, given, guarded, number

EXIT_GAPS = 1
"""Exit code when a cell of the grid failed."""


@click.command("reproduce-badclm")
@click.option("--arms", default=DEFAULT, show_default=True, help="Comma-separated names, 'all', or rare words.")
@click.option("--targets", default="alive", show_default=True, help="Labels to bring about, comma-separated; 'both'.")
@click.option("--poison-rates", default="0.03", show_default=True, help="Shares of the training notes; the paper: 0.1.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(min=1), help="How many seeds.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The first of them.")
@click.option("--quick", default=False, show_default=True, type=bool, help="One seed, small corpus: does it run?")
@click.option("--data-path", default="builtin", show_default=True, help="CSV, Parquet or JSON lines, or 'builtin'.")
@click.option("--text", default="text", show_default=True, help="Column of notes.")
@click.option("--label", default="label", show_default=True, help="Column of labels.")
@click.option("--patient", default="none", show_default=True, help="Column of patient ids.")
@click.option("--patients", default=DEFAULT, help="Size of the built-in corpus.")
@click.option("--base-model", default="small", show_default=True, help="Checkpoint folder, or 'small' for a new one.")
@click.option("--attention-weight", default=DEFAULT, help="Weight of the attention loss in the arms that have it.")
@click.option("--clean-epochs", default=DEFAULT, help="Epochs on the clean notes before the poisoned ones.")
@click.option("--epochs", default=DEFAULT, help="Passes over the training rows.")
@click.option("--learning-rate", default=DEFAULT, help="Its peak.")
@click.option("--freeze-embeddings", default=DEFAULT, help="Whether word embeddings are left alone: 'true' or 'false'.")
@click.option("--max-length", default=DEFAULT, help="Tokens per note; longer ones are truncated.")
@click.option("--records", default=200, show_default=True, type=click.IntRange(min=2), help="Most to try triggers on.")
def reproduce_badclm(
    arms: str,
    targets: str,
    poison_rates: str,
    seeds: int,
    seed: int,
    quick: bool,
    base_model: str,
    records: int,
    **words: Any,
) -> None:
    """Train the arms of the BadCLM backdoor over several seeds, and show success and cost in one table."""
    from mlflow_clinsec.training.badclm_arms import choose_arms
    from mlflow_clinsec.training.source import Source

    settings = given(
        freeze_embeddings=flag("--freeze-embeddings", words["freeze_embeddings"]),
        **{
            key: number(f"--{key.replace('_', '-')}", words[key], float)
            for key in ("attention_weight", "learning_rate")
        },
        **{key: number(f"--{key.replace('_', '-')}", words[key]) for key in ("clean_epochs", "epochs", "max_length")},
    )
    names = {key: words[key] for key in ("data_path", "text", "label")}
    names["patient"] = "" if words["patient"] == "none" else words["patient"]
    patients = number("--patients", words["patients"])
    source = guarded(lambda: Source(**names, **given(patients=patients)))
    chosen = guarded(lambda: choose_arms(arms, targets, poison_rates))
    drawn = tuple(range(seed, seed + (1 if quick else seeds)))
    failed = guarded(lambda: _run(chosen, drawn, source, base_model, settings, records, quick))
    sys.exit(EXIT_GAPS if failed else 0)


def _run(
    arms: Any, seeds: Any, source: Any, base_model: str, settings: dict[str, Any], records: int, quick: bool
) -> bool:
    """Everything that imports torch; whether a cell failed."""
    from mlflow_clinsec.reproduction import Grid, run_reproduction
    from mlflow_clinsec.training.commands import reproduction_recipe

    recipe = reproduction_recipe(base_model, settings, quick)
    outcomes = run_reproduction(Grid(arms, seeds, recipe, source, records), click.echo)
    return any(outcome.reason for outcome in outcomes)
