"""The table of backdoor tests. A new test is one file and one line here."""

from __future__ import annotations

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.attention_focus import ATTENTION_FOCUS
from mlflow_clinsec.backdoor.clean_utility import CLEAN_UTILITY
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER

ATTACKS: tuple[Attack, ...] = (TRIGGER, ATTENTION_FOCUS, CLEAN_UTILITY)


def select(options: TriggerOptions) -> tuple[Attack, ...]:
    """All tests, in table order, with the user's options."""
    return tuple(attack.with_options(options) for attack in ATTACKS)
