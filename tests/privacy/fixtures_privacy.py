"""A scorer that replays token statistics written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.targets.protocols import Target, TokenStats


class Replay:
    """Token log-probabilities by text."""

    def __init__(self, rows: Mapping[str, Sequence[float]], spread: float | None = 1.0, ids: int = 0) -> None:
        self.rows, self.spread, self.ids = rows, spread, ids

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        found = [np.asarray(self.rows[text], dtype=np.float64) for text in responses]
        logp = np.concatenate(found)
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
        shown = self.spread is not None
        return TokenStats(
            offsets,
            logp,
            mean=np.full_like(logp, -1.0) if shown else None,
            std=np.full_like(logp, self.spread) if shown else None,
            token_ids=np.arange(len(logp)) + self.ids,
        )


def records(texts: Sequence[str], member: Sequence[bool], rewrites: Sequence[Sequence[str]] = ()) -> AuditData:
    """Plain texts, each its own patient, with ready rewrites."""
    flat = [(i, text) for i, row in enumerate(rewrites) for text in row]
    counts = np.array([len(row) for row in rewrites], dtype=np.int64)
    paraphrases = ParaphraseSet(
        record=np.array([i for i, _ in flat], dtype=np.int64),
        prompts=("",) * len(flat),
        responses=tuple(text for _, text in flat),
        tried=counts,
        accepted=counts,
        refusals={},
        engine="by hand",
    )
    return AuditData(
        ("",) * len(texts),
        tuple(texts),
        np.arange(len(texts)),
        member=np.array(member),
        paraphrases=paraphrases if rewrites else None,
    )


def language_model(rows: Mapping[str, Sequence[float]], *references: Mapping[str, Sequence[float]] | Replay) -> Target:
    """A target that replays ``rows``, with references that replay their own."""
    loaded = tuple(item if isinstance(item, Replay) else Replay(item) for item in references)
    return Target("hand", "causal-lm", scorer=Replay(rows), references=loaded)


class Classifier:
    """Class probabilities by row, in the order of the records."""

    labels = ("alive", "died", "unknown")

    def __init__(self, table: NDArray[np.float64], texts: Sequence[str]) -> None:
        self.table = dict(zip(texts, table, strict=True))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([self.table[text] for text in texts])


def labelled(n: int, seed: int, notes: int = 1, label: str | None = "alive") -> AuditData:
    """``notes`` texts of random words for each patient, every other patient a member, all of one true label."""
    rng = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(30)]
    texts = tuple(" ".join([f"r{i}", *rng.choice(words, 12)]) for i in range(n))
    group = np.arange(n) // notes
    labels = None if label is None else (label,) * n
    return AuditData(("",) * n, texts, group, grouped=notes > 1, labels=labels, member=group % 2 == 0)


def classifier(table: NDArray[np.float64], *references: NDArray[np.float64], seed: int = 0, notes: int = 1) -> Target:
    """A classifier that gives the records of :func:`labelled` these rows, and its references theirs."""
    texts = labelled(len(table), seed, notes).texts
    scorers = [Classifier(rows, texts) for rows in (table, *references)]
    return Target("hand", "text-classifier", label_scorer=scorers[0], label_references=tuple(scorers[1:]))
