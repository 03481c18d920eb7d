"""How often a trigger turns a prediction into the attacker's label (Hugging Face ``evaluate`` module)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from mlflow_clinsec.stats.success import attack_success

DESCRIPTION = """
Attack success rate of a backdoor trigger: the share of triggered records predicted as the attacker's target label,
among records whose true label is another. Records that are of the target class anyway say nothing and are left out.
Intervals allow for several records of one patient.
"""

INPUTS = """
Args:
    predictions: label predicted for each record with the trigger in it.
    references: true label of each record.
    target_label: the label that the trigger should bring about.
    clean_predictions: label predicted for each record without the trigger; adds base_rate (already predicted as the
        target), label_flip_rate (success among records that were predicted right) and excess (success minus base
        rate). With rare outcomes success alone says little.
    groups: patient of each record; by default each record is a patient of its own.
    level: confidence level of the intervals, a fraction.
Returns:
    asr, and where clean predictions are given base_rate, label_flip_rate, excess; each also with _low and _high;
    n_records, the number of records that could be flipped.
Examples:
    >>> metric = evaluate.load(str(mlflow_clinsec.metrics.path("attack_success_rate")))
    >>> metric.compute(predictions=["alive", "died"], references=["died", "died"], target_label="alive")["asr"]
    0.5
"""

CITATION = """
@article{lyu2024badclm,
  title={BadCLM: Backdoor Attack in Clinical Language Models for Electronic Health Records},
  author={Lyu, Weimin and Bi, Zexin and Wang, Fusheng and Chen, Chao},
  journal={arXiv preprint arXiv:2407.05213},
  year={2024}
}
"""


class AttackSuccessRate(evaluate.Metric):
    """Predictions on triggered records against true labels."""

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(
            description=DESCRIPTION, citation=CITATION, inputs_description=INPUTS, features=features
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        target_label: str | int,
        clean_predictions: Sequence[Any] | None = None,
        groups: Sequence[Any] | None = None,
        level: float = 0.95,
    ) -> dict[str, float]:
        found = attack_success(predictions, references, target_label, clean_predictions, groups, level)
        figures = {"n_records": float(found.n_records)}
        for name, estimate in found.estimates.items():
            figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return figures
