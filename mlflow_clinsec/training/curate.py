"""What is done to the training rows themselves: near duplicates taken out, rewordings put in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.overlap import repeated
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records


def deduplicate(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows without exact and near duplicates; of each kind the first stays.

    Source: Lee 2022 (arXiv 2107.06499) and Kandpal 2022 (arXiv 2202.06539): what a training set repeats is what a
    model memorises. The measure of likeness is that of :mod:`mlflow_clinsec.overlap`, on prompt and response together.
    """
    texts = [f"{prompt}\n{response}" for prompt, response in zip(pairs["prompt"], pairs["response"], strict=True)]
    return pairs[~repeated(texts)]


def with_rewordings(pairs: pd.DataFrame, options: ParaphraseOptions, rng: np.random.Generator) -> pd.DataFrame:
    """The rows and, after them, their accepted rewrites, which keep their patients.

    Source: paraphrase-aware training, named as future work by arXiv 2510.18674; that paraphrased training data weakens
    membership attacks is reported by arXiv 2601.12937. Every rewrite has passed the fidelity gate: the model is taught
    no fact that its records do not hold.
    """
    prompts, responses = tuple(pairs["prompt"]), tuple(pairs["response"])
    data = AuditData(prompts, responses, group=np.arange(len(pairs), dtype=np.int64))
    made = paraphrase_records(data, options, rng)
    rewrites = pairs.iloc[made.record].assign(prompt=list(made.prompts), response=list(made.responses))
    return pd.concat([pairs, rewrites], ignore_index=True)


def copied_forward(pairs: pd.DataFrame, share: float, copies: int, rng: np.random.Generator) -> pd.DataFrame:
    """The rows, a random ``share`` of them standing ``copies`` more times, as notes are copied forward in a chart.

    The synthetic corpus repeats nothing, unlike any hospital's: without repeats there is nothing to deduplicate.
    """
    chosen = rng.choice(len(pairs), size=round(share * len(pairs)), replace=False)
    return pd.concat([pairs, *[pairs.iloc[np.sort(chosen)]] * copies], ignore_index=True)
