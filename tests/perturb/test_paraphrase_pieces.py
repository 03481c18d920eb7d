"""Long texts, piece by piece: nothing is lost, and a slip stays where it happened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.perturb.pieces import rewrite_by_pieces, split_pieces

NOTE = "HISTORY:\nHTN and CAD.  Takes Lasix 40 mg daily.\n\n  No fever today.\n"
REWRITES = {
    "HISTORY:": ["HX:", "HISTORY:"],
    "HTN and CAD.": ["Hypertension and CAD.", "CAD and HTN."],
    "Takes Lasix 40 mg daily.": ["Takes Lasix 50 mg daily.", "Is on Lasix 40 mg daily."],  # the first one lies
    "No fever today.": ["Fever today."],  # a lie, and one too few
}


def test_pieces_end_with_sentences_and_lines() -> None:
    assert split_pieces(NOTE, 5) == ["HISTORY:\nHTN and CAD.  ", "Takes Lasix 40 mg daily.\n\n  ", "No fever today.\n"]
    assert split_pieces("Dr. A saw 2.5 cm. Yes", 100) == ["Dr. A saw 2.5 cm. Yes"]
    assert split_pieces("", 5) == []


@given(st.text(alphabet="ab .!?\n\t", max_size=200), st.integers(1, 20))
def test_joined_pieces_are_the_text(text: str, words: int) -> None:
    pieces = split_pieces(text, words)
    assert "".join(pieces) == text
    longest = max((len(part.split()) for piece in split_pieces(text, 1) for part in [piece]), default=0)
    assert all(len(piece.split()) <= max(words, longest) for piece in pieces)


def test_a_refused_piece_stays_and_white_space_is_kept() -> None:
    made = rewrite_by_pieces(NOTE, 2, 1, lambda piece: REWRITES[piece])
    assert made == [
        "HX:\nHypertension and CAD.  Takes Lasix 40 mg daily.\n\n  No fever today.\n",
        "HISTORY:\nCAD and HTN.  Is on Lasix 40 mg daily.\n\n  No fever today.\n",
    ]


def test_a_short_text_is_handed_over_whole_and_answers_are_not_touched() -> None:
    assert rewrite_by_pieces("No fever.", 3, 5, lambda piece: ["Fever.", ""]) == ["Fever.", ""]


@pytest.mark.parametrize("answers", [[], ["", ""], ["word " * 10_000] * 2])
def test_useless_answers_leave_the_text_unchanged(answers: list[str]) -> None:
    assert rewrite_by_pieces(NOTE, 2, 1, lambda piece: answers) == [NOTE, NOTE]
