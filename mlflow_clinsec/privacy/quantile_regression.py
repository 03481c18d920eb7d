"""Quantile regression: is the model surer of this record than of nearly all records that read like it?

Source: Bertran 2023 (arXiv 2307.03694, section 3): a regressor learns, from records that the model was not trained
on, a high quantile of its confidence given the record; what exceeds its own quantile is called a member. No
reference model is needed.

Departures: the public records are the audited non-members themselves, cross-fitted by patient, so that none is judged
by a regressor that saw its patient; one quantile level, where the paper sweeps over them; the regressor is gradient
boosting over the true label and latent directions (truncated SVD) of the words, dates, layout and sizes that the
blind baseline reads, which use no member flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.blind_features import blind_features
from mlflow_clinsec.privacy.confidence import label_columns
from mlflow_clinsec.privacy.cross_fit import judged_and_public
from mlflow_clinsec.privacy.label_view import true_label_logit
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target

LEAST = 50
"""Public records below which a high quantile cannot be learned."""

DIRECTIONS = 16


@dataclass(frozen=True)
class QuantileOptions(MembershipOptions):
    """Settings of the quantile-regression attack.

    Attributes:
        level: quantile of the non-members' confidence that a member is to exceed.
    """

    level: float = setting(0.9, low=0.5, high=0.99)


def score(data: AuditData, target: Target, options: QuantileOptions, rng: np.random.Generator) -> FloatArray:
    """logit p_y minus its quantile given the record, shape (n_records,).

    Raises:
        NotApplicableError: too few non-members to learn from.
    """
    logits, features = true_label_logit(data, target, target.label_scorer), record_features(data, target, rng)
    scores = np.full(len(data), np.nan)
    for judged, public in judged_and_public(data, rng):
        if public.sum() < LEAST:
            raise NotApplicableError(f"needs at least {LEAST} non-members of other patients, has {int(public.sum())}")
        regressor = _regressor(options.level, rng).fit(features[public], logits[public])
        scores[judged] = logits[judged] - regressor.predict(features[judged])
    return scores


def record_features(data: AuditData, target: Target, rng: np.random.Generator) -> FloatArray:
    """True label (one column each), and what stands in the text in latent directions, shape (n_records, n_features)."""
    from sklearn.decomposition import TruncatedSVD

    words = blind_features(data.texts)
    count = min(DIRECTIONS, min(words.shape) - 1)
    classes = np.eye(len(target.labels or ()))[label_columns(data, target)]
    if count < 1:
        return np.hstack([classes, words.toarray()])
    reduced = TruncatedSVD(count, random_state=int(rng.integers(2**31))).fit_transform(words)
    return np.hstack([classes, reduced])


def _regressor(level: float, rng: np.random.Generator) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=50,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        early_stopping=False,
        random_state=int(rng.integers(2**31)),
    )


QUANTILE_REGRESSION = membership_attack(
    "quantile_regression",
    "confidence above a learned quantile of non-members'",
    score,
    access="probability",
    requires=("label_scorer",),
    source="Bertran 2023, arXiv 2307.03694, section 3",
    formula="phi(x) - q(x), phi = log(p(y) / (1 - p(y))), q its quantile among non-members given y and the text",
    needs=("labels",),
    options=QuantileOptions(),
    default=False,
    departures="learned from the audited non-members, cross-fitted by patient; one quantile level",
)
