"""What a user may set for the filters: ``backdoor.options.filters``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_clinsec.backdoor.options import OwnOptions
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.insert import Position
from mlflow_clinsec.strict import setting

FilterName = Literal["strip", "onion", "rap"]


@dataclass(frozen=True, kw_only=True)
class FilterOptions(OwnOptions):
    """Settings of the filters.

    Attributes:
        filters: which of them, in this order.
        false_rejection_rate: share of clean records (ONION: of their words) that a filter may reject; its threshold
            is set to it on clean records of other patients than those that are judged.
        positions: where triggers are inserted.
        records: most clean records that a filter is calibrated on, that it is judged on, and that RAP learns its word
            on, each; and most triggered records per target label.
        strip_copies: perturbed copies of each input.
        strip_share: share of an input's words that each copy replaces.
        rap_least_drop, rap_most_drop: by how much RAP's word shall lower the probability of the target label on clean
            records.
        rap_epochs: most passes over the clean records while that word is learned.
    """

    filters: tuple[FilterName, ...] = ("strip", "onion", "rap")
    false_rejection_rate: float = setting(0.05, low=0.001, high=0.5)
    positions: tuple[Position, ...] = ("random",)
    records: int = setting(200, low=20)
    strip_copies: int = setting(10, low=1, high=1000)
    strip_share: float = setting(0.5, low=0.05, high=0.95)
    rap_least_drop: float = setting(0.1, low=0.01, high=0.98)
    rap_most_drop: float = setting(0.3, low=0.02, high=0.99)
    rap_epochs: int = setting(40, low=1, high=1000)

    def __post_init__(self) -> None:
        """Refuse what is wrong whatever the model.

        Raises:
            ConfigError: an empty or repeating list, or drops in the wrong order.
        """
        for key in ("filters", "positions"):
            values = getattr(self, key)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"backdoor.options.filters.{key}: name one, or several different ones.")
        if self.rap_least_drop >= self.rap_most_drop:
            raise ConfigError(
                "backdoor.options.filters: rap_least_drop must lie below rap_most_drop, "
                f"got {self.rap_least_drop} and {self.rap_most_drop}."
            )
