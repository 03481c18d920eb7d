"""Audit a model of one's own inside an MLflow pipeline: `python examples/evaluate_in_a_pipeline.py`.

The model here is a scikit-learn pipeline wrapped in a PythonModel that offers `predict_proba(texts)`; the audit
finds that method by itself. It was trained on half of the patients of the synthetic corpus.
"""

from __future__ import annotations

import mlflow
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlflow_clinsec.datasets import generate_corpus, split_patients


class Mortality(mlflow.pyfunc.PythonModel):
    """In-hospital mortality from a note, by words."""

    def __init__(self, notes: pd.DataFrame) -> None:
        self.words = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(class_weight="balanced", C=3.0))
        self.words.fit(notes["text"], notes["outcome"])
        self.labels = [str(label) for label in self.words.classes_]

    def predict_proba(self, texts: list[str]) -> pd.DataFrame:
        """One column of probabilities per label."""
        return pd.DataFrame(self.words.predict_proba(texts), columns=self.labels)

    def predict(self, model_input: list[str]) -> list[str]:
        return [str(label) for label in self.words.predict(model_input)]


def main() -> None:
    notes = generate_corpus(400, seed=7).notes
    sides = split_patients(notes, {"train": 0.5, "held out": 0.5}, seed=0)
    data = pd.concat([side.assign(in_training=name == "train") for name, side in sides.items()])
    with mlflow.start_run(run_name="mortality by words"):
        info = mlflow.pyfunc.log_model(
            name="mortality-words", python_model=Mortality(sides["train"]), pip_requirements=["scikit-learn", "pandas"]
        )
        result = mlflow.models.evaluate(
            model=info.model_uri,
            data=data.reset_index(drop=True),
            targets="outcome",
            model_type="clinical-classifier",
            evaluators="clinsec",
            evaluator_config={
                "data": {"text": "text"},
                "privacy": {"member": "in_training", "group": "patient_id", "split": "random"},
                "backdoor": {"triggers": ["mn", "cf"], "target_label": "alive", "positions": ["random"]},
            },
        )
    for name in ("clinsec/privacy/worst_auc", "clinsec/backdoor/worst_excess_asr", "clinsec/utility/auroc"):
        print(f"{name}: {result.metrics[name]:.3f}")


if __name__ == "__main__":
    main()
