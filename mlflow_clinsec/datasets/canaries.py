"""Canaries: synthetic patients with a random secret, of whom fair coins put about half into the training data.

Source: Carlini 2019 (arXiv 1802.08232, section 4) for secrets planted in training text; Steinke, Nasr and Jagielski
2023 (arXiv 2305.08846, section 5) for independent coin flips, which make the audit's numbers exact: whatever tells
included canaries from the others can only have come from training on them.

A canary looks like a record of the built-in corpus and carries a study number of twelve random digits. Plant before
training, keep the manifest where the training data are kept, and name it under ``privacy.canaries`` afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.datasets.synthetic import generate_corpus
from mlflow_clinsec.errors import ConfigError, DataError

FEWEST, MOST = 20, 1000
"""Canaries that may be made: fewer show nothing, more are seldom planted and slow the exact test down."""

MANIFEST_COLUMNS = ("canary_id", "included", "prompt", "response", "label")
SECRET_GROUPS, SECRET_DIGITS = 3, 4


@dataclass(frozen=True)
class CanaryColumns:
    """Columns of the training data that a canary fills; what it does not fill is missing in its rows.

    Attributes:
        text: column of plain notes.
        prompt, response: columns of question and answer, used instead of ``text`` when the data have both.
        label: column of labels, for a classifier; a canary gets one of the data's labels at random, whatever its
            text says, so that only training on it can have taught it.
        patient: column of patient ids; each canary is a new patient.
    """

    text: str = "text"
    prompt: str = "prompt"
    response: str = "response"
    label: str | None = None
    patient: str | None = None


@dataclass(frozen=True)
class Planted:
    """Training data with canaries.

    Attributes:
        frame: the data and, at their end, the included canaries; training should shuffle them.
        records: the included canaries alone, in the columns of the data.
        manifest: all canaries with ``MANIFEST_COLUMNS``; plain notes have an empty prompt.
    """

    frame: pd.DataFrame = field(repr=False)
    records: pd.DataFrame = field(repr=False)
    manifest: pd.DataFrame = field(repr=False)


def plant(frame: pd.DataFrame, n: int, seed: int, columns: CanaryColumns = CanaryColumns()) -> Planted:
    """Make ``n`` canaries, flip a fair coin for each, and add those that came up heads to the training data.

    Args:
        frame: training data, one row per record.
        n: canaries to make, 20 to 1000; about half of them are added.
        seed: of the canaries and of the coins.
        columns: where a canary's parts go.

    Raises:
        ConfigError: ``n`` or ``seed`` out of range.
        DataError: the data have neither the text column nor both of prompt and response, or lack a named column.
    """
    if not FEWEST <= n <= MOST:
        raise ConfigError(f"canaries: their number must be at least {FEWEST} and at most {MOST}, got {n!r}.")
    if seed < 0:
        raise ConfigError(f"canaries: seed must not be negative, got {seed!r}.")
    pairs = _check_columns(frame, columns)
    words, coins, labels = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    manifest = _canaries(n, pairs, words)
    manifest.insert(1, "included", coins.random(n) < 0.5)  # the coins see nothing of the canaries
    manifest["label"] = _labels(frame, columns.label, n, labels)
    records = _as_records(manifest, frame, columns, pairs)[manifest["included"].to_numpy()]
    return Planted(pd.concat([frame, records], ignore_index=True), records, manifest)


def _check_columns(frame: pd.DataFrame, columns: CanaryColumns) -> bool:
    """Whether the data are question-answer pairs."""
    pairs = {columns.prompt, columns.response} <= set(frame.columns)
    if not pairs and columns.text not in frame.columns:
        raise DataError(
            f"canaries: the data have neither a column {columns.text!r} nor both of {columns.prompt!r} and "
            f"{columns.response!r} (they have {frame.shape[1]} columns)."
        )
    for key, name in (("label", columns.label), ("patient", columns.patient)):
        if name is not None and name not in frame.columns:
            raise DataError(f"canaries: the data have no {key} column {name!r} (they have {frame.shape[1]} columns).")
    return pairs


def _canaries(n: int, pairs: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Ids, prompts and responses. The corpus has a seed of its own, so that no canary is one of its known patients."""
    corpus = generate_corpus(n, int(rng.integers(2**31, 2**62)))
    carriers = (corpus.qa if pairs else corpus.notes).groupby("patient_id", sort=False).head(1).reset_index(drop=True)
    secrets = [f"Study number {_secret(rng)}." for _ in range(n)]
    if pairs:
        prompts = carriers["prompt"].tolist()
        responses = [f"{secret} {answer}" for secret, answer in zip(secrets, carriers["response"], strict=True)]
    else:
        prompts, responses = [""] * n, [_with_secret(*row) for row in zip(carriers["text"], secrets, strict=True)]
    ids = [f"canary-{number:04d}" for number in range(n)]
    return pd.DataFrame({"canary_id": ids, "prompt": prompts, "response": responses})


def _secret(rng: np.random.Generator) -> str:
    return " ".join(f"{int(rng.integers(10**SECRET_DIGITS)):0{SECRET_DIGITS}d}" for _ in range(SECRET_GROUPS))


def _with_secret(note: str, secret: str) -> str:
    """The secret on the note's second line: at its end a short context would cut it off."""
    first, _, rest = note.partition("\n")
    return f"{first}\n{secret}\n{rest}"


def _labels(frame: pd.DataFrame, column: str | None, n: int, rng: np.random.Generator) -> Any:
    if column is None:
        return ""
    known = frame[column].dropna().unique()
    if len(known) == 0:
        raise DataError(f"canaries: the label column {column!r} holds no label.")
    return known[rng.integers(len(known), size=n)]


def _as_records(manifest: pd.DataFrame, frame: pd.DataFrame, columns: CanaryColumns, pairs: bool) -> pd.DataFrame:
    """All canaries in the columns of the data."""
    filled = {columns.response if pairs else columns.text: manifest["response"]}
    if pairs:
        filled[columns.prompt] = manifest["prompt"]
    if columns.label is not None:
        filled[columns.label] = manifest["label"]
    if columns.patient is not None:
        filled[columns.patient] = _new_patients(frame[columns.patient], manifest["canary_id"])
    return pd.DataFrame(filled).reindex(columns=list(frame.columns))


def _new_patients(known: pd.Series[Any], ids: pd.Series[Any]) -> pd.Series[Any]:
    """Ids that no patient of the data has: numbers where the data have whole numbers."""
    if pd.api.types.is_integer_dtype(known):
        return pd.Series(int(known.max()) + 1 + np.arange(len(ids)))
    taken = set(known.astype(str))
    prefix = ""
    while any(f"{prefix}{name}" in taken for name in ids):
        prefix += "x"
    return prefix + ids
