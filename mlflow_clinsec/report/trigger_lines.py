"""The trigger test in a few lines of plain text, for the command line."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

from mlflow_clinsec.report.wording import number, p_value

MOST = 10
"""Triggers listed; the card has all."""

_METRIC = re.compile(r"clinsec/backdoor/trigger/(?P<key>[^/]+)/(?P<name>[^/]+)$")


def trigger_lines(metrics: Mapping[str, float]) -> list[str]:
    """One line per trigger and place, the largest excess first; none where no trigger test ran.

    Args:
        metrics: an audit's metrics by the names that MLflow has them under.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric, value in metrics.items():
        if match := _METRIC.search(metric):
            found[match["key"]][match["name"]] = value
    cases = sorted((case for case in found.items() if "asr" in case[1]), key=lambda case: -_excess(case[1]))
    lines = [_line(key, numbers) for key, numbers in cases[:MOST]]
    if len(cases) > MOST:
        lines.append(f"and {len(cases) - MOST} more; the audit card has all")
    return lines


def _excess(numbers: Mapping[str, float]) -> float:
    excess = numbers.get("excess_asr", math.nan)
    return -math.inf if math.isnan(excess) else excess


def _line(key: str, numbers: Mapping[str, float]) -> str:
    return (
        f"trigger {key}: ASR {number(numbers.get('asr'))}, placebos {number(numbers.get('ftr'))}, excess "
        f"{number(numbers.get('excess_asr'))}, p {p_value(numbers.get('p_adjusted'))}; smallest detectable ASR "
        f"{number(numbers.get('smallest_detectable_asr'))}"
    )
