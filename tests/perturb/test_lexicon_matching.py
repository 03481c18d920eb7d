"""Tokens, phrase boundaries and the reading of lexicon lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.phrases import PhraseIndex, is_bounded, tokenize
from mlflow_clinsec.perturb.vocabulary import Lexicon, load_lexicon, parse_form, parse_line


@given(st.text())
def test_tokens_lie_in_the_text_in_order_and_skip_only_whitespace(text: str) -> None:
    tokens = tokenize(text)
    end = 0
    for token in tokens:
        assert text[token.start : token.end] == token.text
        assert not text[end : token.start].strip()
        assert token.glued == (token.start == end and end > 0)
        end = token.end
    assert not text[end:].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Na 138,K 4.1", ["Na", "138", ",", "K", "4.1"]),
        ("1,200 mL", ["1,200", "mL"]),
        ("DM2 q.4h.", ["DM", "2", "q", ".", "4", "h", "."]),
        ("seen by [**Dr. Last Name (un) 12**] on ___", ["seen", "by", "[**Dr. Last Name (un) 12**]", "on", "___"]),
        ("patient's s/p", ["patient's", "s", "/", "p"]),
    ],
)
def test_tokenize(text: str, expected: list[str]) -> None:
    assert [token.text for token in tokenize(text)] == expected


@pytest.mark.parametrize(
    ("text", "word", "bounded"),
    [
        ("the cf here", "cf", True),
        ("(cf)", "cf", True),
        ("cf.", "cf", True),
        ("N/cf", "cf", True),
        ("pre-cf state", "cf", False),
        ("cf-like", "cf", False),
        ("cf2", "cf", False),
        ("2cf", "cf", False),
        ("cf- and", "cf", True),
    ],
)
def test_is_bounded(text: str, word: str, bounded: bool) -> None:
    tokens = tokenize(text)
    position = [token.text for token in tokens].index(word)
    assert is_bounded(tokens, position, position + 1) is bounded


def test_phrases_match_whole_tokens_longest_first() -> None:
    index: PhraseIndex[str] = PhraseIndex()
    index.add("heart", "organ")
    index.add("heart failure", "disease")
    index.add("MI", "infarction", exact=True)
    tokens = tokenize("Heart  failure, heartfailure, mi, MI")
    assert index.at(tokens, 0) == [(2, "disease"), (1, "organ")]
    assert index.longest_at(tokens, 3) is None  # "heartfailure" holds both words and is neither
    assert index.longest_at(tokens, 5) is None
    assert index.longest_at(tokens, 7) == (1, "infarction")


def forms_found(text: str, lexicon: Lexicon | None = None) -> list[str]:
    """Concepts found in a text, for rewriting."""
    return [hit.entry.concept for hit in (lexicon or load_lexicon()).find(tokenize(text))]


def test_the_marks_of_a_form() -> None:
    assert parse_form("HTN") == ("HTN", True, True, False, False)
    assert parse_form(">RA") == ("RA", False, True, False, False)
    assert parse_form("<HA") == ("HA", True, False, False, False)
    assert parse_form("~WBC #") == ("WBC", False, False, False, True)
    assert parse_form("=pt") == ("pt", True, True, True, False)
    assert parse_form(">RA").ambiguous
    assert not parse_form("~RA").ambiguous


@pytest.mark.parametrize("line", ["disease\tA | B", "condition\t", "condition\t>RA | arthritis", "condition\tA | "])
def test_a_malformed_line_names_its_place(line: str) -> None:
    with pytest.raises(DataError, match=r"terms\.tsv:7"):
        parse_line(line, "terms.tsv:7")


def test_ambiguous_forms_are_understood_only_where_their_concept_is_known() -> None:
    lexicon = Lexicon([parse_line("condition\trheumatoid arthritis | >RA", "x:1")])
    tokens = tokenize("RA flare")
    assert not list(lexicon.find(tokens))
    assert not list(lexicon.find(tokens, known=frozenset()))
    assert len(list(lexicon.find(tokens, known=frozenset({"rheumatoid arthritis"})))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("K 4.1", ["potassium"]),
        ("K of 4.1", ["potassium"]),
        ("vitamin K deficiency", []),
        ("PT 13.2", ["prothrombin time"]),
        ("PT evaluated her", []),
        ("htn and chf", ["hypertension", "congestive heart failure"]),
        ("was red all over", []),
        ("pulmonary hypertension", ["pulmonary hypertension"]),
        ("PMH: HTN", ["past medical history", "hypertension"]),
        ("in PMH notes", []),
    ],
)
def test_context_decides_what_an_abbreviation_means(text: str, expected: list[str]) -> None:
    assert forms_found(text) == expected
