"""Array types of the statistics, and the checks that every function makes on its input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlflow_clinsec.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def same_length(**arrays: NDArray[Any]) -> None:
    """Refuse arrays that are not one-dimensional and equally long.

    Raises:
        DataError: naming each array and its shape.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"expected one-dimensional arrays of one length, got {found}")


def as_flags(values: ArrayLike, name: str = "member") -> BoolArray:
    """Booleans, or numbers that are all 0 or 1, as a boolean array.

    Raises:
        DataError: the values are neither; a score passed for a flag would otherwise silently read as True.
    """
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind in "iuf" and np.isin(array, (0, 1)).all():
        return array.astype(np.bool_)
    raise DataError(f"{name} must hold booleans or 0/1, got dtype {array.dtype}")


def as_scores(values: ArrayLike, name: str = "scores", allow_nan: bool = False) -> FloatArray:
    """Real-valued scores as float64. Infinite scores are ranked like any other.

    Raises:
        DataError: the scores are booleans (the AUC of a thresholded decision is not the AUC of the score),
            are not numbers, or are NaN where ``allow_nan`` is False.
    """
    array = np.asarray(values)
    if array.dtype == np.bool_:
        raise DataError(f"{name} are booleans: pass the score itself, not a decision already thresholded")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} must be numbers, got dtype {array.dtype}")
    scores = array.astype(np.float64)
    if not allow_nan and np.isnan(scores).any():
        raise DataError(f"{name} hold {int(np.isnan(scores).sum())} NaN of {scores.size}; drop them first")
    return scores


def in_unit_interval(value: float, name: str) -> None:
    """Refuse a rate or level outside the open interval (0, 1).

    Raises:
        DataError: naming the parameter and the value received.
    """
    if not 0.0 < value < 1.0:
        raise DataError(f"{name} must lie strictly between 0 and 1, got {value}")


def cluster_index(group: ArrayLike) -> tuple[IntArray, int]:
    """Number the groups 0 .. k-1 in sorted order: the index of each record's cluster, and k."""
    names, index = np.unique(np.asarray(group), return_inverse=True)
    return index.reshape(-1).astype(np.int64), len(names)


def sum_by(index: IntArray, values: ArrayLike, n_clusters: int) -> FloatArray:
    """Sum of the values over each cluster's records, shape (n_clusters,)."""
    weights = np.asarray(values, dtype=np.float64)
    return np.bincount(index, weights=weights, minlength=n_clusters).astype(np.float64)
