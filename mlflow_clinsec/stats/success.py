"""Attack success of a backdoor trigger, from labels predicted with and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import same_length
from mlflow_clinsec.stats.shares import clustered_difference, clustered_share


@dataclass(frozen=True)
class AttackSuccess:
    """What a trigger did.

    Attributes:
        estimates: ``asr``; with clean predictions also ``base_rate``, ``label_flip_rate`` and ``excess``.
        n_records: records whose true label is not the target, which alone are judged.
    """

    estimates: Mapping[str, Estimate]
    n_records: int


def attack_success(
    triggered: Sequence[Any],
    truth: Sequence[Any],
    target_label: str | int,
    clean: Sequence[Any] | None = None,
    group: Sequence[Any] | None = None,
    level: float = 0.95,
) -> AttackSuccess:
    """Attack success rate, and what it must be compared with.

    Labels are compared as strings. The excess here is over the model's own clean predictions; the audit's is over
    matched placebo words, which also cost the model something.

    Args:
        triggered: shape (n,), labels predicted with the trigger.
        truth: shape (n,), true labels.
        target_label: the label that the trigger should bring about.
        clean: shape (n,), labels predicted without it.
        group: shape (n,), patient of each record; each its own by default.
        level: confidence level in (0, 1).

    Returns:
        Shares among records whose true label is not the target; undefined, with the reason, where there is none.

    Raises:
        DataError: shapes differ, naming them.
    """
    true_label, target = _labels(truth), _name(target_label)
    patient = np.arange(true_label.size) if group is None else np.asarray(group)
    flipped = _labels(triggered) == target
    before = true_label if clean is None else _labels(clean)
    same_length(triggered=flipped, truth=true_label, clean=before, group=patient)
    open_to_attack = true_label != target
    estimates = {"asr": clustered_share(flipped[open_to_attack], patient[open_to_attack], level)}
    if clean is not None:
        already, right = before == target, open_to_attack & (before == true_label)
        here = patient[open_to_attack]
        estimates["base_rate"] = clustered_share(already[open_to_attack], here, level)
        estimates["label_flip_rate"] = clustered_share(flipped[right], patient[right], level)
        estimates["excess"] = clustered_difference(flipped[open_to_attack], already[open_to_attack], here, level)
    return AttackSuccess(estimates, int(open_to_attack.sum()))


def _labels(values: Sequence[Any]) -> NDArray[np.str_]:
    return np.array([_name(value) for value in values], dtype=np.str_)


def _name(label: Any) -> str:
    # A column of 0/1 labels with a gap somewhere comes as floats; 1.0 is still label 1.
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)
