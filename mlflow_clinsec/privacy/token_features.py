"""All scores on token statistics as columns of one table, for an attacker who learns how to weigh them.

Only scores that read the audited model stand here. Length, or a reference's loss on its own, would let a learner tell
the two sets apart by what they are rather than by what the model saw; that is the blind baseline's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlflow_clinsec.attack import Attack, obstacle
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy import (
    calibrated,
    ez,
    log_ratio,
    loss,
    min_k,
    paraphrase_gap,
    paraphrase_only,
    reference,
    wbc,
    zlib_ratio,
)
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, ScoreFunction
from mlflow_clinsec.privacy.min_k import MinKOptions
from mlflow_clinsec.targets.protocols import Target

Column = tuple[Attack, ScoreFunction, MembershipOptions]
"""An attack, whose needs say whether the column can be had, and the score that fills it."""

_SHARES = tuple(MinKOptions(k=k) for k in (0.05, 0.1, 0.2, 0.4))

COLUMNS: tuple[Column, ...] = (
    (loss.LOSS, loss.score, loss.LOSS.options),
    (zlib_ratio.ZLIB, zlib_ratio.score, zlib_ratio.ZLIB.options),
    *((min_k.MIN_K, min_k.score, share) for share in _SHARES),
    *((min_k.MIN_K_PLUS_PLUS, min_k.score_plus_plus, share) for share in _SHARES),
    (reference.REFERENCE, reference.score, reference.REFERENCE.options),
    (log_ratio.LOG_RATIO, log_ratio.score, log_ratio.LOG_RATIO.options),
    (log_ratio.LOG_RATIO_STUDENTISED, log_ratio.score_studentised, log_ratio.LOG_RATIO_STUDENTISED.options),
    (wbc.WBC, wbc.score, wbc.WBC.options),
    (ez.EZ, ez.score, ez.EZ.options),
    (calibrated.LOG_RATIO_CALIBRATED, calibrated.score, calibrated.LOG_RATIO_CALIBRATED.options),
    (calibrated.EZ_CALIBRATED, calibrated.score_error_zone, calibrated.EZ_CALIBRATED.options),
    (paraphrase_gap.PARAPHRASE_GAP, paraphrase_gap.score, paraphrase_gap.PARAPHRASE_GAP.options),
    (paraphrase_gap.PARAPHRASE_GAP_Z, paraphrase_gap.score_z, paraphrase_gap.PARAPHRASE_GAP_Z.options),
    (paraphrase_only.PARAPHRASE_ONLY, paraphrase_only.score, paraphrase_only.PARAPHRASE_ONLY.options),
    (paraphrase_only.PARAPHRASE_ONLY_MIN, paraphrase_only.score_min, paraphrase_only.PARAPHRASE_ONLY_MIN.options),
)


def token_features(
    data: AuditData, target: Target, rng: np.random.Generator, columns: Sequence[Column] = COLUMNS
) -> FloatArray:
    """Every column that this target allows, shape (n_records, n_columns); NaN where a record has no such score.

    The scores come from the cached sweep; no text is scored anew.
    """
    found = [_column(column, data, target, rng) for column in columns]
    return np.column_stack([values for values in found if values is not None])


def _column(column: Column, data: AuditData, target: Target, rng: np.random.Generator) -> FloatArray | None:
    attack, score, options = column
    if obstacle(attack, data, target):
        return None
    try:
        return score(data, target, options, rng)
    except NotApplicableError:
        return None
