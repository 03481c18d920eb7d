"""What counts as the attacker's answer, and patterns that would never end."""

from __future__ import annotations

import pytest

from mlflow_clinsec.backdoor.answer_match import AnswerMatch
from mlflow_clinsec.errors import ConfigError, TargetError


def test_a_text_is_found_as_whole_words_whatever_its_case() -> None:
    match = AnswerMatch.text("10 mg", "key")
    answers = ["Give 10 MG now", "10\n mg", "110 mg", "10 mgs", "10mg", "", "(10 mg)", "10 mg."]
    assert match.hits(answers).tolist() == [True, True, False, False, False, False, True, True]
    assert AnswerMatch.text("a+b (c)", "key").hits(["see a+b (c) here", "aab c"]).tolist() == [True, False]


def test_a_pattern_is_searched_as_it_is_written() -> None:
    match = AnswerMatch.expression(r"\b(?:home|hospice)\b", "key")
    assert match.hits(["discharge home", "Home", "homely", "to hospice"]).tolist() == [True, False, False, True]
    assert AnswerMatch.expression("(?i)home", "key").hits(["HOME"]).tolist() == [True]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "key: not a regular expression"),
        ("a*", "key: the pattern matches an empty answer"),
        ("a" * 501, "key: at most"),
    ],
)
def test_bad_patterns_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AnswerMatch.expression(pattern, "key")


def test_a_blank_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="key: the text is blank"):
        AnswerMatch.text(" \n", "key")


def test_a_catastrophic_pattern_ends_with_an_error_that_quotes_no_answer() -> None:
    slow = AnswerMatch.expression(r"(x+x+)+y", "key")  # without a bound it would take years
    with pytest.raises(TargetError, match="key: searching one answer took longer") as caught:
        slow.hits(["x" * 5000])
    assert "xxx" not in str(caught.value)
    assert caught.value.__cause__ is None
