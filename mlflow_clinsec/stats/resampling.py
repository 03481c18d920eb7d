"""Bootstrap draws of clusters: how often each draw holds each patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlflow_clinsec.stats.arrays import cluster_index, same_length
from mlflow_clinsec.stats.weighted import WeightArray

MANY = 20_000
"""Clusters from which on draws are counted one by one: the same distribution as a multinomial draw, ten times faster
there, and other numbers."""

_BYTE = np.iinfo(np.uint8).max


def cluster_weights(
    group: ArrayLike, rng: np.random.Generator, n_boot: int, strata: ArrayLike | None = None
) -> WeightArray:
    """How often each bootstrap draw holds each cluster.

    Args:
        group: shape (n,), cluster of each record.
        strata: shape (n,), resampled separately; constant within a cluster (its first record decides).

    Returns:
        Shape (n_boot, clusters); columns in sorted order of the group codes. Within each stratum a row sums
        to the number of the stratum's clusters.

    Raises:
        DataError: shapes differ.
    """
    index, k = cluster_index(group)
    stratum_of_record = np.zeros(index.size) if strata is None else np.asarray(strata)
    same_length(group=index, strata=stratum_of_record)
    stratum = stratum_of_record[np.unique(index, return_index=True)[1]]
    strata_columns = [np.flatnonzero(stratum == value) for value in np.unique(stratum)]
    # Among many clusters a count above 255 has a probability below 1e-500; a byte each is a fourth of the memory.
    narrow = all(columns.size >= MANY or columns.size <= _BYTE for columns in strata_columns)
    weights = np.empty((n_boot, k), dtype=np.uint8 if narrow else np.int32)
    for columns in strata_columns:
        if columns.size >= MANY:
            for draw in weights:
                draw[columns] = np.bincount(rng.integers(columns.size, size=columns.size), minlength=columns.size)
        else:
            even = np.full(columns.size, 1 / columns.size)
            weights[:, columns] = rng.multinomial(columns.size, even, size=n_boot)
    return weights
