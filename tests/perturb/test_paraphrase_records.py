"""Rewriting records: who gets which rewrites, what is counted, and what the user brought along."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.perturb.change import word_change
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.ready import ready_paraphrases

NOTES = (
    "HTN and CAD s/p CABG. Takes Lasix 40 mg BID. No SOB.",
    "Xyzzy plugh.",
    "Patient presents with DM2, h/o MI, and CHF. Na 138, K 4.1, BUN 20.",
)


class Scripted:
    """An engine that proposes what it is told, in order, from the start in every round."""

    name = "scripted"

    def __init__(self, script: Callable[[str], list[str]]) -> None:
        self._script = script
        self.settings: dict[str, str] = {}

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """The script's rewrites of the text, at most ``count``."""
        return self._script(text)[:count]


def records(responses: tuple[str, ...], prompts: tuple[str, ...] | None = None) -> AuditData:
    """Records of distinct patients."""
    return AuditData(prompts or ("",) * len(responses), responses, np.arange(len(responses), dtype=np.int64))


def rng(seed: int = 0) -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(seed)


def test_rewrites_stand_beside_their_record() -> None:
    data = records(NOTES)
    made = paraphrase_records(data, ParaphraseOptions(count=4), rng())
    assert made.engine == "rules"
    assert made.record.tolist() == [0] * 4 + [2] * 4  # nothing in the second note can be rewritten
    assert made.accepted.tolist() == [4, 0, 4]
    assert made.tried.sum() == made.accepted.sum() + sum(made.refusals.values())
    assert made.prompts == ("",) * 8
    for record, text in zip(made.record, made.responses, strict=True):
        assert 0.05 <= word_change(NOTES[record], text) <= 0.9
    assert len(set(made.responses)) == 8


def test_a_record_is_rewritten_alike_in_any_company() -> None:
    options = ParaphraseOptions(count=3)
    alone = paraphrase_records(records((NOTES[2],)), options, rng())
    together = paraphrase_records(records(NOTES), options, rng())
    again = paraphrase_records(records(NOTES), options, rng())
    assert alone.responses == together.responses[3:]
    assert together.responses == again.responses
    assert paraphrase_records(records(NOTES), options, rng(1)).responses != together.responses


def test_one_draw_is_taken_however_many_records() -> None:
    first, second = rng(), rng()
    paraphrase_records(records(NOTES), ParaphraseOptions(), first)
    paraphrase_records(records(NOTES[:1]), ParaphraseOptions(), second)
    assert first.random() == second.random()


def test_progress_is_told_of_every_record() -> None:
    told: list[int] = []
    paraphrase_records(records(NOTES), ParaphraseOptions(), rng(), told.append)
    assert told == [1, 1, 1]


@pytest.mark.parametrize(
    ("rewrite", "prompt_changes", "response_changes"),
    [("response", False, True), ("prompt", True, False), ("both", True, True)],
)
def test_the_asked_part_is_rewritten(rewrite: str, prompt_changes: bool, response_changes: bool) -> None:
    prompt, response = "What are the symptoms of HTN?", NOTES[0]
    made = paraphrase_records(records((response,), (prompt,)), ParaphraseOptions(count=2, rewrite=rewrite), rng())
    assert made.accepted.tolist() == [2]
    assert all((text != prompt) == prompt_changes for text in made.prompts)
    assert all((text != response) == response_changes for text in made.responses)


def test_of_plain_text_the_text_is_rewritten_whatever_is_asked() -> None:
    made = paraphrase_records(records((NOTES[0],)), ParaphraseOptions(count=2, rewrite="prompt"), rng())
    assert made.accepted.tolist() == [2]


def test_a_part_that_cannot_be_rewritten_is_kept() -> None:
    made = paraphrase_records(records(("Yes.", NOTES[0]), (NOTES[0], "Why?")), ParaphraseOptions(count=2), rng())
    assert made.accepted.tolist() == [2, 2]
    assert made.responses[:2] == ("Yes.", "Yes.")
    assert made.prompts[2:] == ("Why?", "Why?")


def test_refused_rewrites_are_counted_by_reason() -> None:
    script = {
        "aspirin 81 mg daily": ["aspirin 18 mg daily", "ASA 81 mg daily", "aspirin 81 mg  daily"],
        "left knee pain": ["right knee pain", "pain of the left knee"],
    }
    made = paraphrase_records(
        records(tuple(script)), ParaphraseOptions(count=3), rng(), engine=Scripted(lambda text: script[text])
    )
    assert made.engine == "scripted"
    assert made.responses == ("ASA 81 mg daily", "pain of the left knee")
    assert dict(made.refusals) == {"laterality": 1, "number": 1, "unchanged": 1}
    assert made.tried.tolist() == [3, 2]
    assert made.accepted.tolist() == [1, 1]


def test_an_unfaithful_prompt_refuses_the_pair() -> None:
    script = {"Is 5 mg safe?": ["Is 6 mg fine?"], "It is safe for him.": ["It is fine for him."]}
    made = paraphrase_records(
        records(("It is safe for him.",), ("Is 5 mg safe?",)),
        ParaphraseOptions(count=1),
        rng(),
        engine=Scripted(lambda text: script[text]),
    )
    assert made.accepted.tolist() == [0]
    assert dict(made.refusals) == {"number": 1}


def test_a_part_changed_too_little_goes_back_to_the_original() -> None:
    long = " ".join(["word"] * 40)
    script = {"Is it safe?": ["Is that safe?"], long: [f"{long[:-4]}term"]}
    made = paraphrase_records(
        records((long,), ("Is it safe?",)),
        ParaphraseOptions(count=1),
        rng(),
        engine=Scripted(lambda text: script[text]),
    )
    assert (made.prompts, made.responses) == (("Is that safe?",), (long,))


def test_empty_records_have_no_rewrites() -> None:
    made = paraphrase_records(records(("", " ")), ParaphraseOptions(), rng())
    assert made.tried.tolist() == [0, 0]
    assert made.record.size == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "paraphrase.count"),
        ({"rewrite": "answer"}, "paraphrase.rewrite"),
        ({"engine": "rule"}, "Did you mean 'rules'"),
        ({"min_change": 0.5, "max_change": 0.1}, "min_change"),
    ],
)
def test_options_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ParaphraseOptions(**values)


def test_ready_paraphrases_are_trusted_but_judged() -> None:
    data = records(("aspirin 81 mg daily", "left knee pain", "no fever today"))
    first = ["ASA 81 mg daily", "right knee pain", "no fever today"]
    second = ["aspirin 18 mg daily", "", None]
    made = ready_paraphrases(data, [first, second])
    assert made.responses == ("ASA 81 mg daily", "aspirin 18 mg daily", "right knee pain")
    assert made.record.tolist() == [0, 0, 1]
    assert made.tried.tolist() == [2, 2, 2]
    assert made.accepted.tolist() == [2, 1, 0]
    assert dict(made.refusals) == {"empty": 2, "kept:laterality": 1, "kept:number": 1, "unchanged": 1}
    assert made.engine == "ready"


def test_ready_paraphrases_can_be_held_to_the_gate() -> None:
    data = records(("aspirin 81 mg daily",), ("Which drugs?",))
    made = ready_paraphrases(data, [["aspirin 18 mg daily"], ["ASA 81 mg daily"]], enforce=True)
    assert (made.prompts, made.responses) == (("Which drugs?",), ("ASA 81 mg daily",))
    assert dict(made.refusals) == {"number": 1}


@pytest.mark.parametrize(("columns", "message"), [([], "at least one"), ([["a"]], "column 0 has 1 values for 3")])
def test_ready_columns_must_fit(columns: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ready_paraphrases(records(NOTES), columns)


def test_the_log_holds_counts_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="mlflow_clinsec"):
        paraphrase_records(records(("CANARY-7 has HTN.",)), ParaphraseOptions(), rng())
    assert "accepted of" in caplog.text
    assert "CANARY" not in caplog.text
