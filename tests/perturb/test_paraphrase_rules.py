"""The rules engine: its properties on any text, and its edits one by one."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.perturb.edits import Edit, apply_some, without_overlaps
from mlflow_clinsec.perturb.engine import make_engine
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.formats import format_edits
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.phrases import tokenize
from mlflow_clinsec.perturb.rules import RulesEngine
from mlflow_clinsec.perturb.terms import indefinite_article, term_edits
from mlflow_clinsec.perturb.vocabulary import load_lexicon

ENGINE = RulesEngine()
GATE = FidelityGate(min_change=0.0, max_change=1.0)
NOTE = (
    "HPI: The patient is a 61-year-old man with HTN, CAD s/p CABG, and DM2 who presents with SOB x 3 days. He denies "
    "fever, chills, or chest pain.\nMEDICATIONS: Lasix 40 mg BID, lisinopril 10 mg daily, aspirin 81 mg daily.\n"
    "LABS: Na 138, K 4.1, BUN 20.\nSeen by [**Doctor Last Name 12**] on 2150-3-4."
)
PIECES = st.sampled_from(
    [
        *(
            "HTN",
            "sodium 138",
            "K 4.1",
            "no",
            "denies",
            "fever,",
            "left knee",
            "RUQ",
            "BID",
            "b.i.d.",
            "PT 13",
            "a",
            "MI",
        ),
        *("2150-3-4", "March 4, 2150", "3/4/2150", "5 mg", "10 mg/dL", "q6h", "<5", "x 3 days", "[**Name 7**]", "PMH"),
        *("Lasix 40 mg", "61-year-old man with", "If pain persists, call.", "- a - b - c -"),
        *("and", ", ", ". ", ":", "(", ")", "\n"),
    ]
)
CLINICAL_TEXT = st.lists(PIECES, max_size=30).map(" ".join)


def rng(seed: int = 0) -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(seed)


def options_for(text: str) -> dict[str, tuple[str, ...]]:
    """What stands in the text -> what the rules may write for it."""
    tokens = tokenize(text)
    hits = list(load_lexicon().find(tokens))
    edits = without_overlaps([*format_edits(text, tokens, hits), *term_edits(text, tokens, hits)])
    return {text[edit.start : edit.end]: edit.options for edit in edits}


@given(st.text(max_size=300), st.integers(0, 99))
def test_any_text_is_rewritten_without_error(text: str, seed: int) -> None:
    proposals = ENGINE.propose(text, 3, rng(seed))
    assert len(proposals) == len(set(proposals)) <= 3
    assert text not in proposals
    assert proposals == ENGINE.propose(text, 3, rng(seed))


@settings(max_examples=150)
@given(CLINICAL_TEXT, st.integers(0, 99))
def test_accepted_rewrites_keep_digits_and_surrogates(text: str, seed: int) -> None:
    """Dates apart, as "2150-3-4" and "March 4, 2150" differ in digits, every digit is there as often as before."""
    dates = re.compile(r"\d{4}-\d+-\d+|\d+/\d+/\d{4}|\w+ \d+, \d{4}|\d+ [A-Z][a-z]+ \d{4}")
    for rewrite in ENGINE.propose(text, 3, rng(seed)):
        assert Counter(re.findall(r"\[\*\*.*?\*\*\]", rewrite)) == Counter(re.findall(r"\[\*\*.*?\*\*\]", text))
        if not dates.search(text):
            assert Counter(re.findall(r"\d", rewrite)) == Counter(re.findall(r"\d", text))
        assert Counter(re.findall(r"2150", rewrite)) == Counter(re.findall(r"2150", text))


@settings(max_examples=150)
@given(CLINICAL_TEXT, st.integers(0, 99))
def test_the_gate_vouches_for_numbers_units_sides_and_drugs(text: str, seed: int) -> None:
    """The gate is written apart from the rules; of what it checks only scopes may be cut otherwise in such salads."""
    for rewrite in ENGINE.propose(text, 2, rng(seed)):
        assert GATE.meaning_refusal(text, rewrite) in ("", "negation", "number", "laterality")


def test_a_note_is_rewritten_many_ways_and_all_are_faithful() -> None:
    proposals = ENGINE.propose(NOTE, 20, rng())
    assert len(proposals) == 20
    assert {GATE.refusal(NOTE, rewrite) for rewrite in proposals} == {""}
    assert all("[**Doctor Last Name 12**]" in rewrite for rewrite in proposals)
    assert any("hypertension" in rewrite or "high blood pressure" in rewrite for rewrite in proposals)
    assert any("furosemide" in rewrite.lower() for rewrite in proposals)


def test_seeds_differ() -> None:
    assert ENGINE.propose(NOTE, 3, rng(1)) != ENGINE.propose(NOTE, 3, rng(2))


@pytest.mark.parametrize("text", ["", " \n", "Xyzzy plugh.", "1 2 3"])
def test_nothing_to_rewrite(text: str) -> None:
    assert ENGINE.propose(text, 3, rng()) == []


def test_the_table_of_engines() -> None:
    assert make_engine(ParaphraseOptions()).name == "rules"


def test_edits_never_overlap_and_the_longest_first_wins() -> None:
    edits = [Edit(3, 9, ("b",)), Edit(0, 4, ("a",)), Edit(0, 6, ("c",)), Edit(9, 10, ()), Edit(9, 12, ("d",))]
    assert without_overlaps(edits) == [Edit(0, 6, ("c",)), Edit(9, 12, ("d",))]
    # A span without options is kept as it stands, whatever else starts inside it.
    assert without_overlaps([Edit(0, 8, ()), Edit(0, 3, ("x",)), Edit(4, 6, ("y",))]) == []


def test_what_was_written_is_not_rewritten_again() -> None:
    """ "MI" -> "heart attack" -> "myocardial infarction" would need two passes."""
    edits = [Edit(0, 2, ("heart attack",)), Edit(3, 5, ("MI",))]
    assert apply_some("MI xx", edits, 1.0, rng()) == "heart attack MI"
    assert apply_some("MI xx", edits, 0.0, rng()) == "MI xx"


@pytest.mark.parametrize(
    ("text", "source", "option"),
    [
        ("on 2150-3-4 he", "2150-3-4", "March 4, 2150"),
        ("on March 4, 2150 he", "March 4, 2150", "2150-3-4"),
        ("on 3/24/2150 he", "3/24/2150", "24 March 2150"),
        ("glucose 90 mg/dL", "/", " per "),
        ("5 mg of", "mg", "milligrams"),
        ("5mg of", "mg", " milligrams"),
        ("60-year-old woman", "-year-old", " y/o"),
        ("q6h", "q6h", "every 6 hours"),
        ("every 6 hours", "every 6 hours", "q6h"),
        ("for WBC <5", "<", "less than "),
        ("greater than 5", "greater than ", ">"),
        ("for x 3 days", "x ", "for "),
        ("BP 120/80", " ", " of "),
        ("BP of 120/80", " of ", " "),
        ("his K 4.1", "K", "potassium"),
        ("potassium 4.1", "potassium", "K"),
        ("had an MI in", "an MI", "a myocardial infarction"),
        ("A CVA was", "A CVA", "A stroke"),
        ("HTN is", "HTN", "Hypertension"),
        ("HYPERTENSION, OBESITY", "HYPERTENSION", "HIGH BLOOD PRESSURE"),
        ("has Shortness Of Breath today", "Shortness Of Breath", "Difficulty Breathing"),
        ("40 mg b.i.d.\nNext", "b.i.d.", "twice a day."),
        ("PMH: none", "PMH", "Past medical history"),
        ("takes Zocor", "Zocor", "simvastatin"),
    ],
)
def test_an_edit(text: str, source: str, option: str) -> None:
    assert option in options_for(text)[source]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("on 3/4/2150 he", "3/4/2150"),  # March or April
        ("in May 2001", "May 2001"),  # no modal verb
        ("1 minute", "minute"),
        ("20 mg%", "mg"),
        ("enoxaparin sodium 40", "sodium"),
        ("ondansetron hcl", "ondansetron"),
        ("deep vein thrombosis (DVT)", "DVT"),
        ("the Genetic Testing Registry", "Genetic Testing"),
        ("pulmonary hypertension", "hypertension"),
        ("RA sat", "RA"),
        ("MS changes", "MS"),
        ("PT evaluated", "PT"),
        ("[**HTN 5**]", "HTN"),
        ("sodium chloride 0.9 % iv", " "),
        ("glucose 40 % gel", " "),
    ],
)
def test_what_is_left_alone(text: str, kept: str) -> None:
    assert kept not in options_for(text)


@pytest.mark.parametrize(
    ("word", "article"),
    [
        *[(word, "an") for word in ("MRI", "EKG", "SOB", "infection", "ultrasound", "hour")],
        *[(word, "a") for word in ("CT scan", "UTI", "uterus", "stroke")],
    ],
)
def test_indefinite_article(word: str, article: str) -> None:
    assert indefinite_article(word) == article


def test_a_date_inside_a_surrogate_is_left_alone() -> None:
    text = "Admitted [**2125-4-30**] with SOB, transferred 2125-5-2 to [**Hospital 60070**]."
    for rewrite in RulesEngine().propose(text, 8, np.random.default_rng(0)):
        assert "[**2125-4-30**]" in rewrite
        assert "[**Hospital 60070**]" in rewrite
