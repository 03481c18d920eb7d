"""What may change places, and what may not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.perturb.clauses import move_clauses
from mlflow_clinsec.perturb.order import (
    Group,
    Span,
    finding_groups,
    finding_line_groups,
    list_groups,
    section_groups,
    shuffle,
)
from mlflow_clinsec.perturb.vocabulary import load_lexicon

LEXICON = load_lexicon()


def parts(text: str, groups: list[Group]) -> list[list[str]]:
    """The text of every part of every group."""
    return [[text[span.start : span.end] for span in group] for group in groups]


def lists(text: str) -> list[list[str]]:
    """The items of every list found."""
    return parts(text, list_groups(text, LEXICON))


@given(st.integers(0, 1000))
def test_shuffle_permutes_parts_and_keeps_what_stands_between(seed: int) -> None:
    text = "<aa, b, ccc; d|e>"
    groups = [[Span(1, 3), Span(5, 6), Span(8, 11)], [Span(13, 14), Span(15, 16)]]
    moved = shuffle(text, groups, np.random.default_rng(seed))
    assert Counter(moved) == Counter(text)
    first, second = moved.strip("<>").split("; ")
    assert sorted(first.split(", ")) == ["aa", "b", "ccc"]
    assert sorted(second.split("|")) == ["d", "e"]


def test_history_sections_may_change_places() -> None:
    text = "HPI: Fell.\nPMH: HTN.\nALLERGIES: None.\nSH: Smokes.\nEXAM: Well.\nFAMILY HISTORY: Gout.\nPLAN: Rest."
    assert parts(text, section_groups(text, LEXICON)) == [["PMH: HTN.", "ALLERGIES: None.", "SH: Smokes."]]


def test_a_section_that_refers_to_its_place_stays() -> None:
    text = "PMH: As above.\nFAMILY HISTORY: Gout.\nSOCIAL HISTORY: Smokes."
    assert parts(text, section_groups(text, LEXICON)) == [["FAMILY HISTORY: Gout.", "SOCIAL HISTORY: Smokes."]]


def test_exam_findings_may_change_places() -> None:
    text = "EXAM: HEENT: Normal. Neck: Supple, no JVD. Lungs: Clear. He left. Heart: Same as above. Skin: Dry."
    assert parts(text, finding_groups(text)) == [["HEENT: Normal.", "Neck: Supple, no JVD.", "Lungs: Clear. He left."]]


def test_lines_of_exam_findings_may_change_places_whole() -> None:
    text = "EXAM:\nHEENT: Normal. Throat: Clear.\nNeck: Supple.\nHe left.\nSkin: Dry."
    assert parts(text, finding_line_groups(text)) == [["HEENT: Normal. Throat: Clear.", "Neck: Supple."]]
    assert parts(text, finding_groups(text)) == [["HEENT: Normal.", "Throat: Clear."]]


def test_a_finding_without_a_full_stop_stays() -> None:
    assert finding_groups("Neck: Supple. Lungs: Clear") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LABS: Na 138, K 4.1, and Cl 104.", [["Na 138", "K 4.1", "Cl 104"]]),
        ("Has fever, cough, and nausea.", []),  # "cough" is in no entry, so what governs it cannot be told
        ("Has fever, headache, and nausea.", [["fever", "headache", "nausea"]]),
        ("Denies nausea or vomiting bile.", []),
        ("severe headache and nausea.", []),  # "severe" would come to stand before nausea
        ("Has headache and nausea.", [["headache", "nausea"]]),
        ("Has headache and nausea today.", []),
        ("PMH: HTN, gout attacks, old rib pain.", [["HTN", "gout attacks", "old rib pain"]]),
        ("MEDS: Lasix 40 mg, 1 tablet daily, aspirin.", []),  # the tablet belongs to what stands before it
        ("MEDS: Lasix 40 mg daily, then stop, aspirin.", []),
        ("He ate, drank, slept.", []),
        ("Risks - Smoking - Obesity - Race - Age and more", [["Smoking", "Obesity", "Race"]]),
        ("PMH: HTN, gout, rib pain, no DM, CAD.", [["HTN", "gout", "rib pain"]]),
    ],
)
def test_lists(text: str, expected: list[list[str]]) -> None:
    assert lists(text) == expected


@given(st.text())
def test_any_text_has_disjoint_parts(text: str) -> None:
    for groups in (section_groups(text, LEXICON), finding_groups(text), list_groups(text, LEXICON)):
        end = 0
        for span in (span for group in groups for span in group):
            assert end <= span.start < span.end <= len(text)
            end = span.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("If pain persists, call the clinic.", "Call the clinic if pain persists."),
        ("He went home because he felt well.", "Because he felt well, he went home."),
        ("In most cases, the cause is unknown.", "The cause is unknown in most cases."),
        ("When he fell, then he was admitted here.", "He was admitted here when he fell."),
    ],
)
def test_clauses_move(text: str, expected: str) -> None:
    assert move_clauses(text, 1.0, np.random.default_rng(0)) == expected
    assert move_clauses(text, 0.0, np.random.default_rng(0)) == text


@pytest.mark.parametrize(
    "text",
    [
        "If pain persists, do not call the clinic.",
        "If pain persists, call the clinic, or wait.",
        "Smith went home because he felt well.",  # "Smith" cannot be lower-cased
        "If so, go.",
        "At that time, he was given oxygen.",
        "Pain: if it persists, call the clinic",
    ],
)
def test_clauses_that_stay(text: str) -> None:
    assert move_clauses(text, 1.0, np.random.default_rng(0)) == text
