"""What a negation reaches, case by case."""

from __future__ import annotations

import pytest

from mlflow_clinsec.perturb.negation import FILLER, find_scopes, has_cue
from mlflow_clinsec.perturb.phrases import tokenize


def negated(text: str) -> list[str]:
    """The negated content words of a text."""
    tokens = tokenize(text)
    scopes = find_scopes(text, tokens)
    cues = {i for scope in scopes for i in range(scope.cue_start, scope.cue_stop)}
    inside = {i for scope in scopes for i in range(scope.start, scope.stop)} - cues
    return [tokens[i].lower for i in sorted(inside) if tokens[i].is_word and tokens[i].lower not in FILLER]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No fever.", ["fever"]),
        ("Denies fever, chills, or nausea. Has cough.", ["fever", "chills", "nausea"]),
        ("No fever but has cough.", ["fever"]),
        ("No fever and is eating well.", ["fever"]),
        ("No fever, the lungs are clear.", ["fever"]),
        ("She has not had fever.", ["fever"]),
        ("Pneumonia was ruled out.", ["pneumonia"]),
        ("Cultures are negative. Cough.", ["cultures"]),
        ("Negative for masses; cough present.", ["masses"]),
        ("Smoking: none. Cough.", ["smoking"]),
        ("No change in weight.", []),
        ("Gram negative rods.", []),
        ("No fever\nCough: yes", ["fever"]),
        ("Denies chest pain,\nnausea or cough.", ["chest", "pain", "nausea", "cough"]),
        ("No fever - Cough", ["fever"]),
        ("Without p.o. intake, cough", ["p", "o", "intake", "cough"]),
        ("No edema (mild cough).", ["edema"]),
        ("He didn't fall because of dizziness.", ["fall"]),
        ("Cough. Neither fever nor chills.", ["fever", "chills"]),
    ],
)
def test_scope(text: str, expected: list[str]) -> None:
    assert negated(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("w/o pain", True), ("with pain", False), ("no change", False), ("", False)]
)
def test_has_cue(text: str, expected: bool) -> None:
    assert has_cue(text) is expected
