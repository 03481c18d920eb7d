"""What a comparison of training arms leaves in its parent run: metrics, a table, a figure and a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mlflow
import numpy as np
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from mlflow_clinsec.report.figure_style import house_style
from mlflow_clinsec.report.figure_tradeoff import TradeOff, draw_tradeoff
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.trained_audit import with_interval

LEAKAGE = "clinsec/privacy/worst_auc"
TABLE, FIGURE = "defences.json", "defences.png"

HEADINGS = ("arm", "rows", "epsilon", "worst AUC", "held-out NLL", "token accuracy", "exact match", "verdict")


@dataclass(frozen=True)
class Outcome:
    """One arm.

    Attributes:
        utility: ``nll``, ``token_accuracy`` and ``exact_match`` on held-out patients.
        metrics: of the audit.
        facts: what the arm did; see :class:`~mlflow_clinsec.training.arms.TrainedArm`.
    """

    arm: str
    utility: Mapping[str, Estimate]
    metrics: Mapping[str, float]
    facts: Mapping[str, float]
    verdict: str

    @property
    def leakage(self) -> Estimate:
        """AUC of the strongest attack."""
        value, low, high = (self.metrics.get(f"{LEAKAGE}{end}", np.nan) for end in ("", "_low", "_high"))
        return Estimate(value, low, high, 0)


def flat(estimates: Mapping[str, Estimate], prefix: str = "") -> dict[str, float]:
    """Values and bounds under names for MLflow; bounds that are unknown are left out."""
    found = {f"{prefix}{name}": estimate.value for name, estimate in estimates.items()}
    for name, estimate in estimates.items():
        bounds = {f"{prefix}{name}_low": estimate.low, f"{prefix}{name}_high": estimate.high}
        found |= {key: value for key, value in bounds.items() if np.isfinite(value)}
    return found


def cells(outcome: Outcome) -> tuple[str, ...]:
    """One line of the table, in the order of ``HEADINGS``."""
    epsilon = outcome.facts.get("dp/epsilon")
    nll = outcome.utility["nll"]
    return (
        outcome.arm,
        f"{outcome.facts['training/rows']:.0f}",
        "-" if epsilon is None else f"{epsilon:.2f}",
        with_interval(outcome.metrics, LEAKAGE),
        f"{nll.value:.3f} ({nll.low:.3f} to {nll.high:.3f})",
        f"{outcome.utility['token_accuracy'].value:.3f}",
        f"{outcome.utility['exact_match'].value:.3f}",
        outcome.verdict,
    )


def log_comparison(outcomes: Sequence[Outcome], base: Mapping[str, Estimate], limit: float) -> None:
    """Log the arms side by side to the active run.

    Args:
        base: utility before fine-tuning.
        limit: the policy's limit on AUC.
    """
    rows = [cells(outcome) for outcome in outcomes]
    for outcome in outcomes:
        shown = {"worst_auc": outcome.leakage, **outcome.utility}
        mlflow.log_metrics(flat(shown, f"{outcome.arm}/"))
    mlflow.log_table({name: [row[i] for row in rows] for i, name in enumerate(HEADINGS)}, TABLE)
    points = [TradeOff(o.arm, o.leakage, o.utility["nll"]) for o in outcomes]
    with house_style():
        mlflow.log_figure(draw_tradeoff(points, base["nll"], limit, "held-out NLL in nats per token"), FIGURE)
    mlflow.set_tag(MLFLOW_RUN_NOTE, _note(rows, base))


def _note(rows: Sequence[Sequence[str]], base: Mapping[str, Estimate]) -> str:
    """The table in Markdown, for the run's page."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\nBase, not fine-tuned: held-out NLL {base['nll'].value:.3f}. Figure: `{FIGURE}`."
