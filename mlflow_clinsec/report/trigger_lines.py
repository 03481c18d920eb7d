"""The trigger test in a few lines of plain text, for the command line."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mlflow_clinsec.metric_names import legal_name
from mlflow_clinsec.report.wording import number, p_value, visible

MOST = 10
"""Triggers listed; the card has all."""

_METRIC = re.compile(r"clinsec/backdoor/trigger/(?P<key>[^/]+)/(?P<name>[^/]+)$")


def trigger_lines(metrics: Mapping[str, float], reasons: Mapping[str, str] | None = None) -> list[str]:
    """One line per trigger and place, the largest excess first; none where no trigger test ran.

    Args:
        metrics: an audit's metrics by the names that MLflow has them under.
        reasons: why those that are NaN are undefined, as :func:`reasons_in` gives it.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric, value in metrics.items():
        if match := _METRIC.search(metric):
            found[match["key"]][match["name"]] = value
    cases = sorted((case for case in found.items() if "asr" in case[1]), key=lambda case: -_excess(case[1]))
    lines = [_line(key, numbers, reasons or {}) for key, numbers in cases[:MOST]]
    if len(cases) > MOST:
        lines.append(f"and {len(cases) - MOST} more; the audit card has all")
    return lines


def reasons_in(document: Mapping[str, Any]) -> dict[str, str]:
    """Why figures of the trigger test are undefined: ``<trigger and place>/<metric>`` -> reason.

    Args:
        document: an audit as ``audit.json`` holds it.
    """
    tests = (one for one in document.get("results", ()) if (one["family"], one["name"]) == ("backdoor", "trigger"))
    found = (estimate for one in tests for estimate in one.get("estimates", {}).items())
    return {legal_name(name): estimate["reason"] for name, estimate in found if estimate["reason"]}


def _excess(numbers: Mapping[str, float]) -> float:
    excess = numbers.get("excess_asr", math.nan)
    return -math.inf if math.isnan(excess) else excess


def _line(key: str, numbers: Mapping[str, float], reasons: Mapping[str, str]) -> str:
    why = {name: visible(reasons[f"{key}/{name}"]) for name in ("asr", "excess_asr") if f"{key}/{name}" in reasons}
    if "asr" in why:
        return f"trigger {key}: not defined ({why['asr']})"
    excess = f" ({why['excess_asr']})" if "excess_asr" in why else ""
    return (
        f"trigger {key}: ASR {number(numbers.get('asr'))}, placebos {number(numbers.get('ftr'))}, excess "
        f"{number(numbers.get('excess_asr'))}{excess}, p {p_value(numbers.get('p_adjusted'))}; smallest detectable ASR "
        f"{number(numbers.get('smallest_detectable_asr'))}"
    )
