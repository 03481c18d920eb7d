"""A scorer that replays token statistics written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

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
