"""What a grid of BadCLM arms leaves in its parent run: metrics, a table, a figure and a note.

Figures of one arm are means over its seeds with 95% t intervals: a seed is one draw of patients, base, poison and
training, so the intervals speak about another run of the same recipe. Shares end at 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import mlflow
import numpy as np
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from scipy.stats import t

from mlflow_clinsec.comparison import flat
from mlflow_clinsec.report.figure_badclm import draw_badclm
from mlflow_clinsec.report.figure_style import house_style
from mlflow_clinsec.results import Estimate

CLEAN = "clean"
"""The arm without poison, which the others' cost is counted from."""

TABLE, CELLS, FIGURE = "badclm.json", "badclm_models.json", "badclm.png"

COST = "auroc_cost"
SHOWN: Mapping[str, str] = {
    "asr_given_survival": "ASR given survival",
    "asr": "ASR",
    "placebo_rate": "placebo rate",
    "base_rate": "base rate",
    "auroc": "AUROC",
    COST: "AUROC cost",
    "accuracy": "CACC",
}
"""Numbers of the table, with their headings."""

HEADINGS: tuple[str, ...] = ("arm", "models", "failed", *SHOWN.values())


@dataclass(frozen=True)
class Outcome:
    """One model of the grid.

    Attributes:
        arm: name of the arm, or ``CLEAN``.
        numbers: ``asr``, ``asr_given_survival``, ``survival``, ``placebo_rate``, ``base_rate`` (absent for a clean
            model), ``auroc`` and ``accuracy``; empty where the cell failed.
        reason: why it failed; "" where it did not.
    """

    arm: str
    seed: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class ArmSummary:
    """One arm over its seeds.

    Attributes:
        models, failed: cells that came to an end, and those that did not.
        estimates: by the names of ``SHOWN``; undefined where no model has the number.
    """

    arm: str
    models: int
    failed: int
    estimates: Mapping[str, Estimate]


def summarise(outcomes: Sequence[Outcome]) -> list[ArmSummary]:
    """One summary per arm, in the order in which arms first come."""
    clean = {o.seed: o.numbers["auroc"] for o in outcomes if o.arm == CLEAN and "auroc" in o.numbers}
    compared = [_with_cost(outcome, clean) for outcome in outcomes]
    arms = dict.fromkeys(outcome.arm for outcome in outcomes)
    return [_summary(arm, [outcome for outcome in compared if outcome.arm == arm]) for arm in arms]


def _with_cost(outcome: Outcome, clean: Mapping[int, float]) -> Outcome:
    """With ``auroc_cost``: AUROC of the same seed's clean model, less the model's own."""
    if outcome.arm == CLEAN or outcome.seed not in clean or "auroc" not in outcome.numbers:
        return outcome
    cost = clean[outcome.seed] - outcome.numbers["auroc"]
    return replace(outcome, numbers={**outcome.numbers, COST: cost})


def _summary(arm: str, cells: Sequence[Outcome]) -> ArmSummary:
    estimates = {name: mean_over_seeds([c.numbers[name] for c in cells if name in c.numbers]) for name in SHOWN}
    shares = {name: _clipped(estimate) for name, estimate in estimates.items() if name != COST}
    failed = sum(bool(cell.reason) for cell in cells)
    return ArmSummary(arm, len(cells) - failed, failed, {**estimates, **shares})


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """Mean with a 95% t interval; without bounds for a single seed. Values that are NaN are left out."""
    known = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if known.size == 0:
        return Estimate.undefined("no model has this number")
    mean, n = float(known.mean()), known.size
    reach = float(t.ppf(0.975, n - 1) * known.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Estimate(mean, mean - reach, mean + reach, n, method="t over seeds")


def _clipped(estimate: Estimate) -> Estimate:
    return replace(estimate, low=float(np.clip(estimate.low, 0, 1)), high=float(np.clip(estimate.high, 0, 1)))


def cells(summary: ArmSummary) -> tuple[str, ...]:
    """One line of the table, in the order of ``HEADINGS``."""
    return (summary.arm, str(summary.models), str(summary.failed), *(shown(summary.estimates[name]) for name in SHOWN))


def shown(estimate: Estimate) -> str:
    """ "value (low to high)", the value alone where there are no bounds, a dash where there is none."""
    if not estimate.is_defined:
        return "-"
    if not math.isfinite(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def log_summary(outcomes: Sequence[Outcome], summaries: Sequence[ArmSummary]) -> None:
    """Log the grid to the active run: a metric of each arm, both tables, the figure and the note."""
    rows = [cells(summary) for summary in summaries]
    for summary in summaries:
        defined = {name: estimate for name, estimate in summary.estimates.items() if estimate.is_defined}
        mlflow.log_metrics(flat(defined, f"{summary.arm}/"))
    mlflow.log_table({name: [row[i] for row in rows] for i, name in enumerate(HEADINGS)}, TABLE)
    mlflow.log_table(_models(outcomes), CELLS)
    with house_style():
        mlflow.log_figure(draw_badclm(summaries), FIGURE)
    mlflow.set_tag(MLFLOW_RUN_NOTE, note(rows))


def _models(outcomes: Sequence[Outcome]) -> dict[str, list[object]]:
    """A row per model; a failed one has its reason and no number."""
    names = [name for name in (*SHOWN, "survival") if name != COST]
    columns: dict[str, list[object]] = {"arm": [o.arm for o in outcomes], "seed": [o.seed for o in outcomes]}
    columns |= {name: [o.numbers.get(name) for o in outcomes] for name in names}
    return columns | {"failed": [o.reason for o in outcomes]}


def note(rows: Sequence[Sequence[str]]) -> str:
    """The table in Markdown, and how to read it, for the run's page."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{table}\n\nMeans over seeds with 95% t intervals. ASR: held-out records of another label that are called the "
        "target label with a trigger at a random gap; given survival: those whose trigger stands before the end of the "
        "model's context. Placebo rate: the same with matched harmless words. AUROC cost: clean model of the same seed "
        f"less this one. Figure: `{FIGURE}`; each model: `{CELLS}`. This repeats the attack of BadCLM "
        "(arXiv 2407.05213) as far as it could be read, and claims to match none of its tables."
    )
