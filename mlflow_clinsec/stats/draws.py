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

PRIOR_DEGREES = 10
"""Patients that a planned variance is worth when it steadies the draws' own (chosen by simulation)."""


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
        planned: variance expected of a sample of this size and clustering, or None. A few patients near an AUC of 1 may
            show hardly any inversion, and their draws hardly any variance; an expected one steadies it, as much as
            ``PRIOR_DEGREES`` further patients would (the moderated variance of Smyth 2004).
    """

    value: float
    draws: FloatArray = field(repr=False)
    n_smaller: int
    n: int
    planned: float | None = None

    def at(self, level: float) -> Estimate:
        """The estimate with its interval at ``level``."""
        in_unit_interval(level, "level")
        variance = self._variance()
        if 0 < self.value < 1 and variance > 0:
            worth, degrees = self.value * (1 - self.value) / variance, self.n_smaller - 1.0
        else:
            worth, degrees = float(self.n_smaller), math.inf
        low, high = effective_wilson(self.value, worth, degrees, level)
        return Estimate(self.value, low, high, self.n, level, "cluster bootstrap, wilson")

    def _variance(self) -> float:
        degrees = max(self.n_smaller - 1, 1)
        # Resampling k patients shrinks the variance by (k - 1) / k.
        seen = float(np.nanvar(self.draws)) * self.n_smaller / degrees
        if self.planned is None or seen == 0:
            return seen
        return (degrees * seen + PRIOR_DEGREES * self.planned) / (degrees + PRIOR_DEGREES)


@dataclass(frozen=True)
class ResampledRate:
    """A true-positive rate at a fixed false-positive rate: percentile bounds, widened where draws are too sure.

    The threshold hangs on the few highest non-members, so draws repeat a handful of values and lean upwards. The
    lower bound is therefore read from draws that leave room for further false positives, and both bounds reach at
    least as far as the clustered Wilson interval of the rate at the threshold taken as given.

    Attributes:
        value: the rate on all records.
        draws: shape (n_boot,).
        cautious: shape (n_boot,); draws with room for further false positives; 0 where non-members are too few.
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
