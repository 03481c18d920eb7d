"""A trigger as its words and what stands between them, so that the words can be exchanged and the rest kept."""

from __future__ import annotations

import re
from collections.abc import Sequence


def parts_of(trigger: str) -> list[str]:
    """What stands before, between and behind the words of a trigger, at even places, and the words, at odd ones.

    Words are runs of letters and digits; of a trigger that has none, whatever white space separates.
    """
    parts = re.split(r"([^\W_]+)", trigger)
    return parts if len(parts) > 1 else re.split(r"(\S+)", trigger)


def filled(parts: Sequence[str], cores: Sequence[str]) -> str:
    """The trigger with other words in the places of its own."""
    filled = list(parts)
    filled[1::2] = cores
    return "".join(filled)
