"""Intervals read from bootstrap draws, at whatever level the reader asks for.

A value and its draws are kept together, the level is chosen when reading: the verdict needs a higher one for the
worst of several attacks than the card shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import FloatArray, in_unit_interval
from mlflow_clinsec.stats.clusters import ClusteredShare, effective_wilson


class Readable(Protocol):
    """A value whose interval can be read at any level."""

    def at(self, level: float) -> Estimate:
        """The estimate with its interval at ``level``."""
        ...


@dataclass(frozen=True)
class Absent:
    """A value that could not be computed, and why."""

    reason: str
    n: int

    def at(self, level: float) -> Estimate:
        """The undefined estimate."""
        return Estimate.undefined(self.reason, self.n)


@dataclass(frozen=True)
class ResampledMean:
    """An AUC or accuracy: Wilson bounds on the effective sample size that the draws' variance implies.

    Percentile intervals of an AUC cover too little with few patients, and never reach past a perfect sample: where
    no draw differs (an AUC of 1), the patients of the smaller class count as so many independent records.

    Attributes:
        value: the value on all records.
        draws: shape (n_boot,); NaN for draws that lack a class.
        n_smaller: patients in the smaller class; their variance estimate has one degree of freedom less.
        n: patients of both classes.
    """

    value: float
    draws: FloatArray = field(repr=False)
    n_smaller: int
    n: int

    def at(self, level: float) -> Estimate:
        """The estimate with its interval at ``level``."""
        in_unit_interval(level, "level")
        # Resampling k patients shrinks the variance by (k - 1) / k.
        variance = float(np.nanvar(self.draws)) * self.n_smaller / max(self.n_smaller - 1, 1)
        if 0 < self.value < 1 and variance > 0:
            worth, degrees = self.value * (1 - self.value) / variance, self.n_smaller - 1.0
        else:
            worth, degrees = float(self.n_smaller), math.inf
        low, high = effective_wilson(self.value, worth, degrees, level)
        return Estimate(self.value, low, high, self.n, level, "cluster bootstrap, wilson")


@dataclass(frozen=True)
class ResampledRate:
    """A true-positive rate at a fixed false-positive rate: percentile bounds, widened where draws are too sure.

    The threshold hangs on the few highest non-members, so draws repeat a handful of values and lean upwards. The
    lower bound is therefore read from draws that leave room for further false positives, and both bounds reach at
    least as far as the clustered Wilson interval of the rate at the threshold taken as given.

    Attributes:
        value: the rate on all records.
        draws: shape (n_boot,).
        cautious: shape (n_boot,); draws with room for further false positives.
        given_threshold: the share of members above the threshold.
        n: patients of both classes.
    """

    value: float
    draws: FloatArray = field(repr=False)
    cautious: FloatArray = field(repr=False)
    given_threshold: ClusteredShare = field(repr=False)
    n: int

    def at(self, level: float) -> Estimate:
        """The estimate with its interval at ``level``."""
        in_unit_interval(level, "level")
        tail = (1 - level) / 2
        low, high = self.given_threshold.bounds(level)
        low = min(low, float(np.nanquantile(self.cautious, tail)))
        high = max(high, float(np.nanquantile(self.draws, 1 - tail)))
        return Estimate(self.value, low, high, self.n, level, "cluster bootstrap, percentile")
