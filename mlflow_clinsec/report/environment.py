"""How the HTML pages are rendered: everything escaped, nothing undefined, numbers in the same words everywhere."""

from __future__ import annotations

from typing import Any

from mlflow_clinsec.report import legends, verdict_words, wording
from mlflow_clinsec.report.readings import read_power
from mlflow_clinsec.report.suppress import MIN_CELL, show_count


def environment(min_cell: int = MIN_CELL) -> Any:
    """Jinja environment over ``report/templates``, with autoescaping.

    Args:
        min_cell: counts below this are suppressed by the filter ``count``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("mlflow_clinsec.report", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "visible": wording.visible,
        "number": wording.number,
        "interval": wording.interval,
        "p_value": wording.p_value,
        "level": wording.level,
        "check_title": verdict_words.check_title,
        "seen_with": verdict_words.seen_with,
        "when": wording.when,
        "read_power": read_power,
        "count": lambda n: show_count(int(n), min_cell),
    }
    made.globals["legends"] = legends
    return made
