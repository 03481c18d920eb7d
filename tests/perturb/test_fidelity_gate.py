"""The gate: what it must refuse, what it must let pass, whoever wrote the rewrite."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.fidelity import REASONS, FidelityGate

GATE = FidelityGate(min_change=0.0, max_change=1.0)


@pytest.mark.parametrize(
    ("original", "rewrite"),
    [
        ("No SOB.", "Denies shortness of breath."),
        ("No SOB or chest pain.", "No CP. No dyspnea."),
        ("Patient denies fever, chills, nausea.", "Pt reports no nausea, pyrexia or chills."),
        ("Na 138, K 4.1", "potassium of 4.1, sodium of 138"),
        ("Na 138 mEq/L", "sodium of 138 milliequivalents per liter"),
        ("60-year-old man with HTN", "man, 60 years old, with high blood pressure"),
        ("60 y/o with HTN", "hypertensive man of 60: high blood pressure"),
        ("metoprolol tartrate 25 mg BID", "Lopressor 25 mg twice a day"),
        ("metoprolol tartrate 25 mg b.i.d.", "takes 25 milligrams of Lopressor two times a day"),
        ("admitted 2150-3-4", "was admitted on March 4, 2150"),
        ("1,200 mL of fluid", "1200 ml fluid"),
        ("two stents", "2 stents"),
        ("twenty-five tablets", "25 tabs"),
        ("R hip pain", "right hip pain"),
        ("pain in RUQ", "pain in the right upper quadrant"),
        ("swelling bilaterally", "edema on both sides"),
        ("rt knee, lt hip", "left hip and right knee"),
        ("seen by [**Name**] for HTN", "[**Name**] saw him for hypertension"),
        ("rheumatoid arthritis, no flare", "RA without flare"),
        ("in NAD", "in no acute distress"),
        ("Allergies: NKDA", "ALLERGIES: no known drug allergies"),
        ("SpO2 < 90%", "oxygen saturation SpO2 less than 90 percent"),
        ("vancomycin q12h", "vancomycin every 12 hours"),
        ("You are right, all right now.", "You're correct, fine now."),
        ("a 57 year old", "she is 57"),
        ("stent 1 of the second kind", "one stent of kind 2"),
    ],
)
def test_faithful_rewrites_pass(original: str, rewrite: str) -> None:
    assert GATE.refusal(original, rewrite) == ""


@pytest.mark.parametrize(
    ("original", "rewrite", "reason"),
    [
        ("Na 138, K 4.1", "K 138, Na 4.1", "number"),
        ("sodium 138 and potassium 4.1", "potassium 138 and sodium 4.1", "number"),
        ("lisinopril 10 mg, metformin 500 mg", "lisinopril 500 mg, metformin 10 mg", "number"),
        ("BP 120/80", "BP 80/120", "number"),
        ("BP 120/80", "BP 120/90", "number"),
        ("aspirin 81 mg", "aspirin 18 mg", "number"),
        ("aspirin 81 mg", "aspirin daily", "number"),
        ("WBC less than 5", "WBC > 5", "number"),
        ("admitted 2150-3-4", "admitted March 5, 2150", "number"),
        ("admitted 3/4/2150", "admitted 4 March 2105", "number"),
        ("three stents", "2 stents", "number"),
        ("metformin 500 mg BID", "metformin 500 mg TID", "number"),
        ("q6h", "every 8 hours", "number"),
        ("1 of the second one", "2 of the second one", "number"),  # loose words in both texts answer for no digit
        ("aspirin 81 mg", "aspirin 81 mcg", "unit"),
        ("aspirin 81 mg", "aspirin 81", "unit"),
        ("for 5 days", "for 5 weeks", "unit"),
        ("glucose 138 mg/dL", "glucose 138 mg/L", "unit"),
        ("left hip pain", "right hip pain", "laterality"),
        ("left hip pain", "hip pain", "laterality"),
        ("L hip pain", "R hip pain", "laterality"),
        ("pain in RUQ", "pain in LUQ", "laterality"),
        ("edema bilaterally", "edema on the left", "laterality"),
        ("right knee and left hip", "left knee and right hip", "laterality"),
        ("No SOB.", "Has shortness of breath.", "negation"),
        ("Has SOB.", "Denies SOB.", "negation"),
        ("Denies fever but has cough.", "Has fever but denies cough.", "negation"),
        ("Denies fever and chills.", "Denies fever. Has chills.", "negation"),
        ("Denies fever and chills.", "Denies chills.", "negation"),
        ("He is not improving.", "He is getting better.", "negation"),
        ("PE was ruled out. Has asthma.", "PE was found. Has asthma.", "negation"),
        ("pulmonary embolism, no DVT", "no pulmonary embolism, DVT", "negation"),
        ("reports no change in weight", "reports a change in weight", "negation"),
        ("in no acute distress", "in acute distress", "negation"),
        ("takes hydralazine", "takes hydroxyzine", "drug"),
        ("takes Celebrex", "takes Celexa", "drug"),
        ("takes Lasix and aspirin", "takes furosemide", "drug"),
        ("takes aspirin", "takes aspirin and Coumadin", "drug"),
        ("Lasix, more Lasix, then aspirin", "Lasix, more aspirin, then aspirin", "drug"),
        ("seen by [**Name 1**]", "seen by [**Name 2**]", "surrogate"),
        ("seen by ___", "seen by Smith", "surrogate"),
        ("pain", " \n", "empty"),
        ("pain", "PAIN.", "unchanged"),
    ],
)
def test_unfaithful_rewrites_are_refused(original: str, rewrite: str, reason: str) -> None:
    assert reason in REASONS
    assert GATE.refusal(original, rewrite) == reason


def test_ambiguous_abbreviations_are_not_guessed() -> None:
    """RA in the original might be room air: an engine that spells it out as arthritis is not vouched for."""
    assert GATE.refusal("denies RA", "denies rheumatoid arthritis") == "negation"


def test_the_extent_of_change_is_bounded() -> None:
    gate = FidelityGate(min_change=0.25, max_change=0.5)
    original = "one two three four".replace("one", "alpha").replace("two", "beta")
    assert gate.change_refusal(original, original.replace("alpha", "x")) == ""  # 1 of 4
    assert gate.change_refusal("a b c d e", "x b c d e") == "unchanged"  # 1 of 5
    assert gate.change_refusal("a b c d", "x y z d") == "overchanged"  # 3 of 4


@pytest.mark.parametrize("bounds", [(-0.1, 0.9), (0.5, 0.4), (0.1, 1.1)])
def test_bounds_are_checked(bounds: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="min_change"):
        FidelityGate(*bounds)


@given(st.text())
def test_any_text_says_what_it_says(text: str) -> None:
    assert GATE.meaning_refusal(text, text) == ""


WORDS = st.sampled_from(
    [
        *("no", "denies", "has", "left", "right", "sodium", "aspirin", "fever", "5", "138", "mg", "twenty", "and", ","),
        *(".", "the", "knee", "BID"),
    ]
)


@given(st.lists(WORDS, min_size=1, max_size=25), st.integers(0, 10_000))
def test_a_changed_number_is_always_refused(parts: list[str], seed: int) -> None:
    text = " ".join(parts)
    places = list(re.finditer(r"\b(?:5|138)\b", text))
    if places:
        place = places[seed % len(places)]
        wrong = text[: place.start()] + "77" + text[place.end() :]
        assert GATE.meaning_refusal(text, wrong) == "number"


@given(st.lists(WORDS, min_size=1, max_size=25), st.integers(0, 10_000))
def test_a_swapped_side_is_always_refused(parts: list[str], seed: int) -> None:
    text = " ".join(["knee", *parts, "knee"])
    places = list(re.finditer(r"\bleft (?=knee)", text))
    if places:
        place = places[seed % len(places)]
        wrong = f"{text[: place.start()]}right {text[place.end() :]}"
        assert GATE.meaning_refusal(text, wrong) != ""
