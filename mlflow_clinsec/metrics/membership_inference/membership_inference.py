"""How well a score tells records of the training data from others (Hugging Face ``evaluate`` module)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from mlflow_clinsec.stats.bootstrap import ranking_bootstrap

DESCRIPTION = """
Membership inference: AUC, true-positive rate at 1% and 0.1% false positives, and balanced accuracy of a score that
guesses which records were in a model's training data. Intervals are bootstrapped by patient. A rate that the sample
is too small to show is NaN.
"""

INPUTS = """
Args:
    predictions: one score per record, larger meaning more likely a member (or smaller, see larger_means_member).
    references: 1 for records of the training data, 0 for others.
    groups: patient of each record; by default each record is a patient of its own.
    larger_means_member: False where a smaller prediction means member, as for a loss.
    level: confidence level of the intervals, a fraction.
    n_boot: bootstrap draws.
    seed: the same seed gives the same intervals.
Returns:
    auc, tpr_at_1pct_fpr, tpr_at_0_1pct_fpr, balanced_accuracy; each also with _low and _high; n_patients.
Examples:
    >>> metric = evaluate.load(str(mlflow_clinsec.metrics.path("membership_inference")))
    >>> metric.compute(predictions=[0.9, 0.8, 0.3, 0.1], references=[1, 0, 1, 0])["auc"]
    0.75
"""

CITATION = """
@inproceedings{carlini2022membership,
  title={Membership Inference Attacks From First Principles},
  author={Carlini, Nicholas and Chien, Steve and Nasr, Milad and Song, Shuang and Terzis, Andreas and Tramer, Florian},
  booktitle={IEEE Symposium on Security and Privacy},
  year={2022}
}
"""


class MembershipInference(evaluate.Metric):
    """Scores against membership flags."""

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("int8")})
        return evaluate.MetricInfo(
            description=DESCRIPTION, citation=CITATION, inputs_description=INPUTS, features=features
        )

    def _compute(
        self,
        predictions: Sequence[float],
        references: Sequence[int],
        groups: Sequence[Any] | None = None,
        larger_means_member: bool = True,
        level: float = 0.95,
        n_boot: int = 1000,
        seed: int = 0,
    ) -> dict[str, float]:
        scores = np.asarray(predictions, dtype=np.float64) * (1 if larger_means_member else -1)
        patients = np.arange(scores.size) if groups is None else np.asarray(groups)
        rng = np.random.default_rng(seed)
        found = ranking_bootstrap({"predictions": scores}, references, patients, rng, n_boot, level)["predictions"]
        figures = {"n_patients": float(found.auc.n)}
        for name, estimate in found.as_mapping().items():
            figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return figures
