"""The page about all audited runs: one self-contained HTML file, without scripts, in the audit card's style.

Every string comes from a tracking server that others may write to; all are escaped by Jinja and made visible first.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlflow_clinsec import __version__
from mlflow_clinsec.compare.audits import ASR, AUC, CACC, EXCESS, PRIVACY_LIMIT, TPR, TRIGGER_LIMIT, Audit, worst_first
from mlflow_clinsec.compare.difference import Difference
from mlflow_clinsec.compare.store import Experiment
from mlflow_clinsec.report import palette
from mlflow_clinsec.report.environment import environment
from mlflow_clinsec.report.figure_comparison import Axes, NumberedPoint, draw_comparison
from mlflow_clinsec.report.figure_style import house_style, label, png
from mlflow_clinsec.report.titles import short_title
from mlflow_clinsec.results import Decision, Estimate

TEMPLATE = "comparison.html.j2"
MOST_MOVED = 40
"""Figures shown of those whose intervals overlap; how many more there are is said."""

UTILITIES = ("utility/auroc", "held_out/nll")
"""What ``--utility`` is by default: the audit's AUROC, and the loss that our training commands log."""

LOWER_IS_BETTER = ("nll", "loss", "perplexity", "error")


@dataclass(frozen=True)
class Row:
    """A run's line in the table.

    Attributes:
        figures: in the order of the table's columns; None where the run does not have one.
        data, config: groups of runs that share them, "D1", "D2", ... and "C1", ...
    """

    number: int
    audit: Audit
    figures: tuple[Estimate | None, ...]
    data: str
    config: str


def render_page(experiment: Experiment, between: Difference | None, utilities: Sequence[str] = UTILITIES) -> str:
    """The page as HTML.

    Args:
        experiment: the audits to show.
        between: what changed between two of them; None leaves that part out.
        utilities: figures of the audits, or metrics of their runs, that say what a model is worth.
    """
    audits = worst_first(experiment.audits)
    named = dict.fromkeys((AUC, TPR, EXCESS, ASR, CACC, *utilities))
    columns = [name for name in named if any(_figures(audit, (name,)) != (None,) for audit in audits)]
    data, config = _groups(audits, "D", _data), _groups(audits, "C", lambda audit: audit.config_digest)
    rows = [
        Row(i, audit, _figures(audit, columns), data[_data(audit)], config[audit.config_digest])
        for i, audit in enumerate(audits, start=1)
    ]
    context = {
        "colour": palette.CARD,
        "experiment": experiment,
        "counts": [(d.value, sum(a.decision is d for a in audits)) for d in Decision],
        "cautions": _cautions(audits, data, config),
        "columns": [short_title(name) for name in columns],
        "rows": rows,
        "figures": _pictures(rows, [name for name in utilities if _any_has(audits, name)]),
        "data_groups": {group: digest for digest, group in data.items()},
        "config_groups": {group: digest for digest, group in config.items()},
        "between": between,
        "apart": [one for one in between.moved if one.apart] if between else [],
        "near": [one for one in between.moved if not one.apart] if between else [],
        "most_moved": MOST_MOVED,
        "version": __version__,
    }
    return str(environment().get_template(TEMPLATE).render(context))


def _any_has(audits: Sequence[Audit], name: str) -> bool:
    return any(audit.figure(name).is_defined for audit in audits)


def _figures(audit: Audit, columns: Sequence[str]) -> tuple[Estimate | None, ...]:
    found = (audit.figure(name) for name in columns)
    return tuple(one if one.is_defined or one.reason else None for one in found)


def _data(audit: Audit) -> str:
    return ", ".join(audit.run.data)


def _groups(audits: Sequence[Audit], letter: str, key: Callable[[Audit], str]) -> dict[str, str]:
    """What is shared -> its name in the table, in order of the table; "not known" where a run does not say."""
    known = [value for value in dict.fromkeys(key(audit) for audit in audits) if value]
    return {"": "not known"} | {value: f"{letter}{i}" for i, value in enumerate(known, start=1)}


def _cautions(audits: Sequence[Audit], data: dict[str, str], config: dict[str, str]) -> list[str]:
    """Why these runs may not be held against each other as they stand."""
    versions = {audit.versions.get("mlflow-clinsec", "") for audit in audits}
    unknown = sum(not audit.run.data for audit in audits)
    said = {
        f"They were audited on {len(data) - 1} data sets (column Data). Figures on different records differ for that "
        "reason alone: hold only rows with the same data against each other.": len(data) > 2,
        f"Of {unknown} of them it is not known on what data they were audited.": unknown > 0,
        f"They were audited with {len(config) - 1} configurations (column Config): other attacks, limits, splits or "
        "reference models. A run with fewer attacks looks safer than it is.": len(config) > 2,
        "They were audited by different versions of mlflow-clinsec.": len(versions) > 1,
    }
    return [text for text, holds in said.items() if holds]


def _pictures(rows: Sequence[Row], utilities: Sequence[str]) -> list[dict[str, str]]:
    """Utility against leakage for each utility, then attack success and its excess against clean accuracy."""
    audits = [row.audit for row in rows]
    shown = [
        (name, AUC, Axes(*_words("leakage", name, AUC), 0.5, _limits(audits, PRIVACY_LIMIT))) for name in utilities
    ]
    shown.append((CACC, ASR, Axes(*_words("attack success", CACC, ASR), 0.0)))
    shown.append((CACC, EXCESS, Axes(*_words("excess", CACC, EXCESS), 0.0, _limits(audits, TRIGGER_LIMIT))))
    return [picture for across, up, axes in shown if (picture := _picture(rows, across, up, axes))]


def _words(what: str, across: str, up: str) -> tuple[str, str, str]:
    """Title and names of the axes; names may come from a run and are shown as written."""
    last = across.rsplit("/", 1)[-1].lower()
    better = "lower" if any(word in last for word in LOWER_IS_BETTER) else "higher"
    side = "left" if better == "lower" else "right"
    name = label(short_title(across), 60)
    return f"{name} and {what}: low and {side} is good", f"{name}: {better} is better", short_title(up)


def _limits(audits: Sequence[Audit], key: str) -> tuple[float, ...]:
    return tuple(sorted({limit for audit in audits if not math.isnan(limit := audit.limit(key))}))


def _picture(rows: Sequence[Row], across: str, up: str, axes: Axes) -> dict[str, str] | None:
    points = [NumberedPoint(r.number, r.audit.decision, r.audit.figure(across), r.audit.figure(up)) for r in rows]
    with house_style():
        figure = draw_comparison(points, axes)
        if figure is None:
            return None
        image = base64.b64encode(png(figure)).decode("ascii")
    placed = [point for point in points if point.is_defined]
    ends = min(placed, key=lambda p: p.up.value), max(placed, key=lambda p: p.up.value)
    lowest, highest = (f"run {p.number} at {p.up.value:.3f}, across {p.across.value:.3f}" for p in ends)
    alt = f"{axes.up} against {axes.across}, {len(placed)} runs. Lowest: {lowest}. Highest: {highest}."
    return {"title": axes.title, "alt": alt, "uri": f"data:image/png;base64,{image}"}
