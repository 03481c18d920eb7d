"""ReCaLL and Con-ReCaLL: how other records, put before this one, change the model's view of it.

Sources: Xie 2024 (arXiv 2406.15968, section 3): unfamiliar records before a member disturb the model more than they
do before a non-member, so the score is LL(x | P) / LL(x), LL the mean log-likelihood and P known non-members. Wang
2024 (arXiv 2409.03363, section 3): [LL(x | P_non) - gamma LL(x | P_mem)] / LL(x), with known members as well.

Departures: the patients who lend records to P are left out of the judged set with all their records; a prefix taken
from the judged non-members counts their familiarity as success. Each lends one, and no more than a quarter of a
side's patients do. gamma is set beforehand, not tuned on the records that are judged. A record that does not fit
behind the prefix is scored on its first tokens, in both likelihoods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import target_stats
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.roles import Role

_LENT = 4
"""One in so many patients of a side lends a record at most."""
_LEAST_NLL = 1e-6  # nats; keeps the ratio finite on text that the model knows by heart


@dataclass(frozen=True)
class RecallOptions(MembershipOptions):
    """Attributes:
    shots: records before each judged one.
    """

    shots: int = setting(7, low=1, high=100)


@dataclass(frozen=True)
class ConRecallOptions(RecallOptions):
    """Attributes:
    gamma: weight of the likelihood behind known members.
    """

    gamma: float = setting(0.25, low=0.0, high=1.0)


def score(data: AuditData, target: Target, options: RecallOptions, rng: np.random.Generator) -> FloatArray:
    """LL(x | P) / LL(x), shape (n_records,); NaN for the patients who lent a record."""
    shots = draw_shots(data, False, options.shots, rng)
    behind, alone = _losses(data, target, shots)
    return _hold_out(behind / alone, data, shots)


def score_contrast(data: AuditData, target: Target, options: ConRecallOptions, rng: np.random.Generator) -> FloatArray:
    """[LL(x | P_non) - gamma LL(x | P_mem)] / LL(x), shape (n_records,); NaN for the patients who lent a record."""
    strangers, known = (draw_shots(data, side, options.shots, rng) for side in (False, True))
    behind_strangers, alone = _losses(data, target, strangers)
    behind_known, _ = _losses(data, target, known)
    contrast = (behind_strangers - options.gamma * behind_known) / alone
    return _hold_out(contrast, data, np.concatenate([strangers, known]))


def draw_shots(data: AuditData, side: bool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of records to put before others, one each of ``count`` patients, fewer where the side is small.

    Args:
        side: True takes members.

    Raises:
        NotApplicableError: too few patients on that side for any to be left out.
    """
    assert data.member is not None
    rows = np.flatnonzero(data.member == side)
    patients = rng.permutation(np.unique(data.group[rows]))
    count = min(count, len(patients) // _LENT)
    if count == 0:
        name = "members" if side else "non-members"
        raise NotApplicableError(
            f"needs at least {_LENT} patients among the {name}, of whom one lends a record to the prefix; "
            f"there are {len(patients)}"
        )
    return np.array([rng.choice(rows[data.group[rows] == patient]) for patient in patients[:count]], dtype=np.int64)


def _losses(data: AuditData, target: Target, shots: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Mean NLL of each record behind the shots and on its own, over the same tokens, shape (n_records,) each."""
    assert target.context_scorer is not None
    pairs = [(data.prompts[i], data.responses[i]) for i in shots]
    behind = target.context_scorer.stats_after(pairs, data.prompts, data.responses)
    alone = target_stats(data, target)
    rows = zip(behind.rows(behind.logp), alone.rows(alone.logp), strict=True)
    found = np.array([_means(after, before) for after, before in rows])
    return found[:, 0], np.maximum(found[:, 1], _LEAST_NLL)


def _means(after: FloatArray, before: FloatArray) -> tuple[float, float]:
    size = min(len(after), len(before))
    return (-after[:size].mean(), -before[:size].mean()) if size else (float("nan"), float("nan"))


def _hold_out(scores: FloatArray, data: AuditData, shots: NDArray[np.int64]) -> FloatArray:
    lenders = np.isin(data.group, data.group[shots])
    return np.where(lenders, np.nan, scores)


_ROLES: tuple[Role, ...] = ("scorer", "context_scorer")

RECALL = membership_attack(
    "recall",
    "loss behind non-members' records against the loss alone",
    score,
    access="log-probability",
    requires=_ROLES,
    source="Xie 2024, arXiv 2406.15968, section 3",
    formula="LL(x | P) / LL(x), P records of non-members",
    options=RecallOptions(),
    new_text=True,
    default=False,
    departures="patients who lend records to P are not judged; P is cut to what the records leave of the context",
)

CON_RECALL = membership_attack(
    "con_recall",
    "loss behind non-members' records against the loss behind members'",
    score_contrast,
    access="log-probability",
    requires=_ROLES,
    source="Wang 2024, arXiv 2409.03363, section 3",
    formula="[LL(x | P_non) - gamma LL(x | P_mem)] / LL(x)",
    options=ConRecallOptions(),
    new_text=True,
    default=False,
    departures="as recall; gamma is fixed beforehand",
)
