"""Audit losses that were computed elsewhere: `python examples/precomputed_losses.py`.

Where a model must not leave its machine, its per-record losses may. No model is given; the columns stand for it.
"""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd

from mlflow_clinsec.datasets import generate_corpus


def losses_from_elsewhere(notes: pd.DataFrame) -> pd.DataFrame:
    """Made-up losses in nats per token: members lose a little less, as an overfit model's would."""
    rng = np.random.default_rng(0)
    patients = notes["patient_id"].unique()
    member = notes["patient_id"].isin(rng.permutation(patients)[: len(patients) // 2])
    return notes.assign(in_training=member, nll=rng.normal(2.5, 0.2, len(notes)) - 0.2 * member)


def main() -> None:
    data = losses_from_elsewhere(generate_corpus(300, seed=3).notes)
    with mlflow.start_run(run_name="losses from elsewhere") as run:
        mlflow.models.evaluate(
            data=data,
            model_type="clinical-language-model",
            evaluators="clinsec",
            evaluator_config={
                "data": {"text": "text"},
                "privacy": {"member": "in_training", "group": "patient_id", "split": "random", "attacks": ["loss"]},
                "precomputed": {"nll": "nll"},
            },
        )
    print("verdict:", mlflow.get_run(run.info.run_id).data.tags["clinsec.verdict"])


if __name__ == "__main__":
    main()
