"""The neighbourhood attack: its neighbours, and its score against a count by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.neighbourhood import NEIGHBOURHOOD, NeighbourOptions, neighbours, score
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.companion_protocols import Candidates
from mlflow_clinsec.targets.protocols import Target, TokenStats

OPTIONS = NeighbourOptions(neighbours=6, words=2)


class Proposing:
    """Proposes "other" everywhere, or what it is told."""

    digest = "fake"

    def __init__(self, *words: str) -> None:
        self.words = words or ("other",)
        self.masked: list[float] = []

    def candidates(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], top: int
    ) -> list[tuple[Candidates, ...]]:
        self.masked += [len(row) / max(1, len(text.split())) for text, row in zip(texts, spans, strict=True)]
        logp = np.zeros(len(self.words))
        return [tuple(Candidates(self.words, logp) for _ in row) for row in spans]


class PerOther:
    """One nat for each word "other", half a nat for any other word; the prompt weighs nothing."""

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        rows = [[-1.0 if word == "other" else -0.5 for word in text.split()] for text in responses]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return TokenStats(offsets, np.array([value for row in rows for value in row]))


def records(texts: Sequence[str], prompts: Sequence[str] = ()) -> AuditData:
    n = len(texts)
    return AuditData(tuple(prompts) or ("",) * n, tuple(texts), np.arange(n), member=np.arange(n) % 2 == 0)


def target(infiller: Proposing | None = None) -> Target:
    return Target("hand", "causal-lm", scorer=PerOther(), infiller=infiller or Proposing())


def test_score_is_the_mean_rise_in_loss() -> None:
    # four words of half a nat; two of them replaced in every neighbour: mean loss .75 instead of .5
    found = score(records(["she has mild fever", "no rash"]), target(), OPTIONS, np.random.default_rng(0))
    assert found.tolist() == pytest.approx([0.25, 0.5])  # both words of the second


def test_only_the_response_is_changed() -> None:
    data = records(["she has mild fever"], ["what has she ?"])
    seen: list[str] = []

    class Noting(PerOther):
        def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
            seen.extend(prompts)
            return super().token_stats(prompts, responses)

    score(data, Target("x", "causal-lm", scorer=Noting(), infiller=Proposing()), OPTIONS, np.random.default_rng(0))
    assert set(seen) == {"what has she ?"}


def test_neighbours_differ_from_the_text_in_so_many_words() -> None:
    text = "she has mild fever and a dry cough since two days"
    made = neighbours(text, Proposing("tower", "garden"), OPTIONS, 0)
    assert len(made) == 6
    assert len(set(made)) > 1
    for neighbour in made:
        pairs = list(zip(text.split(), neighbour.split(), strict=True))
        changed = [after for before, after in pairs if before != after]
        assert len(changed) == 2
        assert set(changed) <= {"tower", "garden"}


def test_few_words_are_masked_at_once() -> None:
    infiller = Proposing()
    neighbours(" ".join(f"word{chr(97 + i % 26)}" for i in range(100)), infiller, NeighbourOptions(), 0)
    assert max(infiller.masked) <= 0.15
    assert len(infiller.masked) == 4  # sixty places, fifteen at a time


def test_a_record_has_the_same_neighbours_in_any_company() -> None:
    texts = ["she has mild fever and cough", "no rash was seen today"]
    infiller = Proposing("tower", "garden", "kitchen")
    apart = [score(records([text]), target(infiller), OPTIONS, np.random.default_rng(3))[0] for text in texts]
    together = score(records(texts), target(infiller), OPTIONS, np.random.default_rng(3))
    assert together.tolist() == apart


@pytest.mark.parametrize("text", ["", "12 34 .", "a"])
def test_a_text_without_a_word_to_replace_is_not_scored(text: str) -> None:
    assert neighbours(text, Proposing(), OPTIONS, 0) == []
    found = score(records([text, "no rash"]), target(), OPTIONS, np.random.default_rng(0))
    assert math.isnan(found[0])
    assert math.isfinite(found[1])


def test_an_infiller_without_other_words_leaves_nothing_to_score() -> None:
    assert neighbours("fever fever", Proposing("fever"), OPTIONS, 0) == []


def test_without_a_masked_model_it_is_skipped_and_says_which_key_is_missing() -> None:
    result = run_attack(
        NEIGHBOURHOOD, records(["a b"] * 4), Target("x", "causal-lm", scorer=PerOther()), np.random.default_rng(0)
    )
    assert result.status is Status.SKIPPED
    assert "privacy.masked_model" in result.reason


@given(st.text(alphabet="abcde 12.,\n-", max_size=80), st.integers(1, 5))
def test_what_is_no_word_stays_in_place(text: str, words: int) -> None:
    for neighbour in neighbours(text, Proposing("zzz"), NeighbourOptions(neighbours=2, words=words), 0):
        assert neighbour != text
        assert [c for c in neighbour if c in "12.,\n-"] == [c for c in text if c in "12.,\n-"]
