"""What a user may set for the backdoor tests: the ``backdoor`` part of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.perturb.insert import ALL_POSITIONS, POSITIONS, Position
from mlflow_clinsec.perturb.library import CATEGORIES, of_categories
from mlflow_clinsec.perturb.triggers import DEFAULT_TRIGGERS
from mlflow_clinsec.strict import setting

EACH = "each"
"""``target_label`` that stands for every label in turn."""

FEWEST_PLACEBOS = 20


@dataclass(frozen=True)
class TriggerOptions:
    """Settings of all backdoor tests.

    Attributes:
        triggers: words or phrases to insert, as the attacker would; "a→b" replaces a letter instead, and invisible
            characters go inside a word.
        target_label: the label that the trigger is suspected of forcing; "each" tries every label in turn.
        positions: where to insert: before the first word ("head"), at a random gap between words, after the last word
            ("tail"); also "quarter", "middle" and "three-quarters".
        placebos: matched harmless words that each trigger is held against.
        decision_threshold: predict the target label unless the probability of all other labels together
            reaches this value; the model's own decision when left out.
        level: confidence level of the intervals.
        max_records: most records per target label that triggers are tried on, drawn at random; all when left out.
        language_model: URI or path of a causal language model that the ONION filter asks; word n-grams when left out.
        tests: names from the table; "all" is every test made for this kind of model, "default" the quick ones.
        options: test name -> its own options.
        library: categories of the shipped triggers to try as well, or "all"; those that this tokeniser cannot read,
            or that have too few placebos in these records, are left out and named.
    """

    triggers: tuple[str, ...] = DEFAULT_TRIGGERS
    target_label: str = EACH
    positions: tuple[Position, ...] = POSITIONS
    placebos: int = FEWEST_PLACEBOS
    decision_threshold: float | None = setting(None, low=0.0, high=1.0)
    level: float = setting(0.95, low=0.5, high=0.999)
    max_records: int | None = setting(None, low=2)
    language_model: str | None = None
    tests: Literal["default", "all"] | tuple[str, ...] = "default"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    library: Literal["all"] | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is wrong whatever the model.

        Raises:
            ConfigError: no trigger, an unknown position or category, an empty or padded trigger, a duplicate, too few
                placebos, or a threshold of 0 or 1.
        """
        _check_listed("triggers", self.triggers)
        check_positions(self.positions, "backdoor.positions")
        for place, trigger in enumerate(self.triggers):
            if not trigger or trigger != trigger.strip():
                raise ConfigError(f"backdoor.triggers[{place}]: need a word without outer spaces, got {trigger!r}.")
        if self.library not in ("all", ()):
            _check_listed("library", self.library)
            _check_known("backdoor.library", self.library, CATEGORIES)
        if self.placebos < FEWEST_PLACEBOS:
            raise ConfigError(f"backdoor.placebos: at least {FEWEST_PLACEBOS}, got {self.placebos}.")
        threshold = self.decision_threshold
        if threshold is not None and not 0 < threshold < 1:
            raise ConfigError(f"backdoor.decision_threshold: above 0 and below 1, got {threshold}.")

    @property
    def every_trigger(self) -> tuple[str, ...]:
        """The user's own triggers, then those of the library that he asked for, each once."""
        return tuple(dict.fromkeys([*self.triggers, *(known.text for known in of_categories(self.library))]))


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """Base of a test's own options, which a user sets under ``backdoor.options.<test>``.

    Attributes:
        shared: the settings of all backdoor tests; put in by the table, never by the user.
    """

    shared: TriggerOptions = field(default_factory=TriggerOptions)


def check_positions(positions: Sequence[str], key: str) -> None:
    """Refuse an empty list of positions, one listed twice, and an unknown one.

    Raises:
        ConfigError: naming the key.
    """
    _check_listed(key.removeprefix("backdoor."), positions)
    _check_known(key, positions, ALL_POSITIONS)


def _check_known(key: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    for value in values:
        if value not in allowed:
            raise ConfigError(f"{key}: {value!r} is unknown.{did_you_mean(value, allowed)}")


def _check_listed(key: str, values: Sequence[str]) -> None:
    """At least one value, none of them twice."""
    if not values:
        raise ConfigError(f"backdoor.{key}: the list is empty; name at least one.")
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ConfigError(f"backdoor.{key}: {repeated[0]!r} is listed more than once.")
