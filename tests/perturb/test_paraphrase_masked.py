"""Substitution of plain words: what is never touched, and how words are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.masked import MaskedEngine, draw_word, is_plain, plain_words
from mlflow_clinsec.perturb.options import MaskedOptions, ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.targets.companion_protocols import Candidates, Span

NOTE = "Patient walked slowly to the kitchen and denies left knee pain. Takes Lasix 40 mg BID since March 4, 2150."


class Proposing:
    """An infiller that proposes the same words everywhere."""

    digest = "fake"

    def __init__(self, *words: str) -> None:
        self.words = words
        self.asked: list[list[str]] = []

    def candidates(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], top: int
    ) -> list[tuple[Candidates, ...]]:
        """The words, each half as likely as the one before it."""
        self.asked += [[text[a:b] for a, b in row] for text, row in zip(texts, spans, strict=True)]
        logp = -np.arange(len(self.words), dtype=np.float64)
        return [tuple(Candidates(self.words[:top], logp[:top]) for _ in row) for row in spans]


def words_of(text: str) -> set[str]:
    return {text[start:stop] for start, stop in plain_words(text)}


def test_only_plain_words_are_offered() -> None:
    assert words_of(NOTE) == {"walked", "kitchen", "Takes", "since"}


@pytest.mark.parametrize("word", ["not", "left", "Lasix", "fever", "twelve", "mg", "HTN", "a1c", "x", "pain-free", ""])
def test_words_that_mean_something_to_the_gate_are_not_plain(word: str) -> None:
    assert not is_plain(word)


def test_numbers_drugs_sides_and_negations_stay() -> None:
    engine = MaskedEngine(Proposing("garden", "not", "left", "Tylenol", "nine"), MaskedOptions(share=1.0))
    made = engine.propose(NOTE, 4, np.random.default_rng(0))
    fixed = "denies left knee pain. Garden Lasix 40 mg BID garden March 4, 2150."
    assert made == ["Patient garden slowly to the garden and " + fixed] * 4  # the one plain word among the proposals


def test_a_share_of_the_words_is_replaced_in_two_passes() -> None:
    infiller = Proposing("garden")
    MaskedEngine(infiller, MaskedOptions(share=0.5)).propose(NOTE, 3, np.random.default_rng(0))
    assert len(infiller.asked) == 6
    assert all(len(infiller.asked[i]) + len(infiller.asked[i + 1]) == 2 for i in (0, 2, 4))  # half of four


def test_rewrites_pass_the_gate() -> None:
    data = AuditData(("",), (NOTE,), np.arange(1))
    options = ParaphraseOptions(engine="masked", count=2, masked=MaskedOptions())
    engine = MaskedEngine(Proposing("garden", "tower", "quietly"), MaskedOptions(share=1.0))
    made = paraphrase_records(data, options, np.random.default_rng(0), engine=engine)
    assert made.accepted.tolist() == [2]
    assert len(set(made.responses)) == 2
    assert made.engine == "masked"


def test_a_text_without_plain_words_has_no_rewrites() -> None:
    engine = MaskedEngine(Proposing("garden"), MaskedOptions())
    assert engine.propose("", 2, np.random.default_rng(0)) == []
    assert engine.propose("HTN, DM2. Lasix 40 mg.", 2, np.random.default_rng(0)) == []


def test_words_are_drawn_by_their_probability_and_take_the_case() -> None:
    rng = np.random.default_rng(0)
    candidates = Candidates(("garden", "tower"), np.log([0.6, 0.2]))  # 3 to 1 among themselves
    drawn = [draw_word("Kitchen", candidates, rng, plain=True) for _ in range(2000)]
    assert set(drawn) == {"Garden", "Tower"}
    assert drawn.count("Garden") / 2000 == pytest.approx(0.75, abs=0.04)  # four standard errors
    assert draw_word("Kitchen", Candidates((), np.empty(0)), rng, plain=True) == "Kitchen"


@given(st.text(alphabet="aeglmnort 4.,-[]*LR", max_size=60))
def test_places_are_words_of_any_text(text: str) -> None:
    spans = plain_words(text)
    assert all(text[start:stop].isalpha() for start, stop in spans)
    assert spans == sorted(spans)
