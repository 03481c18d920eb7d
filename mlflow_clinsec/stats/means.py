"""A mean of any numbers over records, with patients as the independent units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import as_scores, cluster_index, in_unit_interval, same_length, sum_by


def clustered_mean(values: ArrayLike, group: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean over records with a t interval on the variance between patients (linearised by group; Liang & Zeger 1986).

    With one record a patient this is the textbook t interval of a mean.

    Args:
        values: shape (n,), numbers of any size.
        group: shape (n,), patient of each record.
        level: confidence level in (0, 1).

    Returns:
        ``Estimate.n`` is the number of groups. Undefined, with the reason, with fewer than two groups.

    Raises:
        DataError: shapes differ, values are no finite numbers, level out of range.
    """
    in_unit_interval(level, "level")
    numbers = as_scores(values, "values")
    if not np.isfinite(numbers).all():
        raise DataError("values must be finite")
    index, k = cluster_index(group)
    same_length(values=numbers, group=index)
    if k < 2:
        return Estimate.undefined("needs records of two patients at least", k)
    mean = float(numbers.mean())
    residuals = sum_by(index, numbers - mean, k)
    error = math.sqrt(float(np.square(residuals).sum()) * k / (k - 1)) / numbers.size
    reach = float(t.ppf((1 + level) / 2, k - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, k, level, "t, clustered")
