"""Fitting on some patients what judges others, for attackers who know records that were not trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.stats.folds import group_folds

BoolArray = NDArray[np.bool_]

FOLDS = 5


def judged_and_public(data: AuditData, rng: np.random.Generator) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Per fold of patients: the records to judge, and the non-members among all other patients.

    Every record is judged once, members and non-members alike by what was fitted on other patients, so that noise
    gives no advantage to either side.
    """
    assert data.member is not None
    folds = group_folds(data.group, min(FOLDS, np.unique(data.group).size), rng, strata=data.member)
    for fold in np.unique(folds):
        judged = folds == fold
        yield judged, ~judged & ~data.member
