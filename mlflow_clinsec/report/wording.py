"""How numbers and names are put into words, the same in the card, the Markdown summary and SARIF.

All shares are fractions from 0 to 1 in tables and "of 100" in sentences, never percentages.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime, timezone

from mlflow_clinsec.report.headlines import HOLM
from mlflow_clinsec.results import Estimate

MAX_NAME = 120
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def visible(text: object, limit: int = MAX_NAME) -> str:
    """Text with characters that a reader could not see (zero-width, control, direction marks) spelled out.

    Hidden characters are a known kind of trigger, and direction marks can make a name read as another one.
    Text longer than ``limit`` is cut and ends in "…".
    """
    shown = "".join(_visible_character(character) for character in str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _visible_character(character: str) -> str:
    hidden = unicodedata.category(character) in _INVISIBLE
    odd_space = character != " " and unicodedata.category(character) == "Zs"
    return f"[U+{ord(character):04X}]" if hidden or odd_space else character


def words(key: str) -> str:
    """A key in words: ``nonmember_patients`` is "non-member patients"."""
    return key.replace("_", " ").replace("nonmember", "non-member")


def number(value: float | None, digits: int = 3) -> str:
    """Fixed digits; "n/a" where there is no value."""
    if value is None or math.isnan(value):
        return "n/a"
    return f"{value:.{digits}f}"


def interval(estimate: Estimate, digits: int = 3) -> str:
    """Both bounds, as in "0.940 to 0.971"; "or more" where it is open above; "" where there is no interval."""
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    if math.isinf(estimate.high):
        return "or more"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def with_interval(estimate: Estimate) -> str:
    """Value and bounds, as in "0.957 (0.940 to 0.971)", or why there is no value."""
    if not estimate.is_defined:
        return f"not defined ({visible(estimate.reason or 'no reason given')})"
    bounds = interval(estimate)
    return f"{number(estimate.value)} ({bounds})" if bounds else number(estimate.value)


def headline(name: str, estimate: Estimate) -> str:
    """A headline's value and bounds, or how p-values are written."""
    return p_value(estimate.value) if name == HOLM and estimate.is_defined else with_interval(estimate)


def p_value(value: float | None) -> str:
    """Three digits, "<0.001" below."""
    if value is not None and value < 0.001:
        return "<0.001"
    return number(value)


def level(estimate: Estimate) -> str:
    """Confidence level in percent: "95%", "99.2%"."""
    return f"{100 * estimate.level:.3g}%"


def of_100(share: float) -> str:
    """A share as a count of 100, kept away from 0 and 100 unless it is exactly that."""
    if not -1 <= share <= 1:
        return "an undefined number of 100"
    if 0 < share < 0.005:
        return "fewer than 1 of 100"
    if 0.995 < share < 1:
        return "more than 99 of 100"
    return f"{round(100 * share)} of 100"


def when(started: str) -> str:
    """An ISO 8601 time to the minute, as in "2026-11-21 20:57 UTC"."""
    try:
        return datetime.fromisoformat(started).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return visible(started)


def read_auc(auc: Estimate) -> str:
    """What a membership attack's AUC means to someone who has never met one."""
    if not auc.is_defined:
        return "Could not be computed."
    if auc.low <= 0.5:
        return "Not told apart from guessing by this sample."
    return f"Tells member from non-member in {of_100(auc.value)} pairs (guessing: 50)."


def read_tpr(tpr: Estimate | None) -> str:
    """What TPR at 1% FPR means; "" when it was not computed."""
    if tpr is None or not tpr.is_defined:
        return ""
    return f"Finds {of_100(tpr.value)} members at 1 false alarm in 100."
