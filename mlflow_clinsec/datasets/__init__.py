"""Built-in data: a synthetic clinical corpus and patient-disjoint splits."""

from __future__ import annotations

from mlflow_clinsec.datasets.splits import split_patients
from mlflow_clinsec.datasets.synthetic import Corpus, generate_corpus

__all__ = ["Corpus", "generate_corpus", "split_patients"]
