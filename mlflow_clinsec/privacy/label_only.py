"""Label-only: a record that was trained on keeps its label when it is reworded.

Source: Choquette-Choo 2021 (arXiv 2007.14321, the data-augmentation attack): the attacker sees labels alone and counts
how many variants of a record are still classified right. Clinical paraphrases are the variants.

Departure: the count itself is the score, where the paper trains a classifier on the pattern of hits of shadow
models. Without true labels, the model's label for the record stands for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, membership_attack
from mlflow_clinsec.targets.protocols import Target


def score(data: AuditData, target: Target, options: Any, rng: np.random.Generator) -> FloatArray:
    """Share of a record and its rewrites with the true label, from 0 to 1, shape (n_records,).

    Without true labels: share of the rewrites with the record's own label. NaN for records without an accepted
    rewrite.
    """
    assert target.predictor is not None
    assert data.paraphrases is not None
    own = np.array(target.predictor.predict_labels(data.texts))
    expected = own if data.labels is None else np.array(data.labels)
    rewritten = np.array(target.predictor.predict_labels(rewritten_texts(data)))
    kept = (rewritten == expected[data.paraphrases.record]).astype(np.float64)
    share = data.paraphrases.mean_by_record(kept, len(data))
    if data.labels is None:
        return share
    counts = np.bincount(data.paraphrases.record, minlength=len(data))
    return (share * counts + (own == expected)) / (counts + 1)


def rewritten_texts(data: AuditData) -> tuple[str, ...]:
    """What a classifier reads of each rewrite; see ``AuditData.texts``."""
    assert data.paraphrases is not None
    rewrites = data.paraphrases
    if not data.has_prompts:
        return rewrites.responses
    return tuple(f"{p}\n{r}" for p, r in zip(rewrites.prompts, rewrites.responses, strict=True))


LABEL_ONLY = membership_attack(
    "label_only",
    "share of rewordings that keep the label",
    score,
    access="label",
    requires=("predictor",),
    source="Choquette-Choo 2021, arXiv 2007.14321, data-augmentation attack",
    formula="share of x and x~ classified as y",
    needs=("paraphrases",),
    new_text=True,
    default=False,
    departures="the share itself, not a classifier trained on shadow models; without y, the model's label for x",
)
