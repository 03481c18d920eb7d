"""Score records where Spark has them, with the same code as an audit:
``PYSPARK_PYTHON=python spark-submit examples/spark_scoring.py MODEL_URI IN_PARQUET OUT_PARQUET KEY_FILE``.

``PYSPARK_PYTHON`` names a Python with this package on every executor, from each of which the model's URI must open.
KEY_FILE holds 16 to 64 random bytes (``openssl rand -out KEY_FILE 32``): the key of the digests that stand for texts
and patients.

MLflow hands evaluators at most 10,000 rows of a Spark DataFrame. Either name the Parquet files in ``data_path``, or, as
here, let Spark's executors compute losses with the same code as an audit does. No text is written: what comes out is
patient, member flag, loss and number of tokens, to be audited as ``precomputed`` columns, without the model.
"""

from __future__ import annotations

import functools
import hmac
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from mlflow_clinsec.targets.huggingface import causal_lm_target

SCHEMA = "text string, patient string, in_training boolean, nll double, n_tokens long"


@functools.cache
def scorer(model_uri: str) -> Any:
    """The model, loaded once in each Python worker."""
    pipeline = mlflow.transformers.load_model(model_uri)
    return causal_lm_target(pipeline.model, pipeline.tokenizer).scorer


def score_frames(frames: Iterator[pd.DataFrame], model_uri: str, key: bytes) -> Iterator[pd.DataFrame]:
    """What ``mapInPandas`` calls: losses of the records in nats per token, in the order given.

    Args:
        frames: columns ``text``, ``patient_id`` and ``in_training``; Spark sends 10,000 rows at a time.
        key: of the digests that stand for texts and patients.

    Raises:
        ValueError: membership is not known of some records.
    """
    for frame in frames:
        if missing := int(frame["in_training"].isna().sum()):
            raise ValueError(f"in_training: {missing} values are missing; pandas would take them for a flag.")
        stats = scorer(model_uri).token_stats([""] * len(frame), list(frame["text"]))
        scorer(model_uri).forget()  # its memo would hold every frame's scores
        yield pd.DataFrame(
            {
                "text": [keyed(text, key) for text in frame["text"]],
                "patient": [keyed(str(patient), key) for patient in frame["patient_id"]],
                "in_training": frame["in_training"].astype(bool).to_numpy(),
                "nll": stats.nll(),
                "n_tokens": stats.counts,
            }
        )


def keyed(value: str, key: bytes) -> str:
    """A keyed digest: equal values can be told, and nothing else."""
    return hmac.digest(key, value.encode(), "sha256").hex()[:16]


def main() -> None:
    from pyspark.sql import SparkSession

    model_uri, source, target, key_file = sys.argv[1:5]
    key = Path(key_file).read_bytes()
    if not 16 <= len(key) <= 64:
        raise SystemExit(f"KEY_FILE: expected 16 to 64 random bytes, found {len(key)}; see above.")
    spark = SparkSession.builder.getOrCreate()
    # Under its own name the module is shipped and imported once by each worker; a function of __main__ would be sent
    # with every task, without the memory of the model that is loaded already.
    spark.sparkContext.addPyFile(__file__)
    from spark_scoring import score_frames as score

    records = spark.read.parquet(source).select("text", "patient_id", "in_training")
    losses = records.mapInPandas(lambda frames: score(frames, model_uri, key), SCHEMA)
    losses.write.parquet(target)


if __name__ == "__main__":
    main()
