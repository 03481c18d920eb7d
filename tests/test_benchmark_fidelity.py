"""The second opinion on rewrites sees what it is there to see, and no difference where there is none."""

from __future__ import annotations

import pytest

from benchmarks.fidelity_checker import differences, judged_negations

SAME = [
    ("Lasix 40 mg BID for HTN since 3/14/2150.", "Furosemide 40 milligrams twice a day for HTN since March 14, 2150."),
    ("Denies SOB, fever or chills. BP 110/58.", "No fever, chills or dyspnea. Blood pressure 110/58."),
    ("twenty-five polyps, left colon", "left colon: 25 polyps"),
    ("ibuprofen 1,200.0 mg q8h", "Motrin 1200 mg every 8 hours"),
    ("Lungs clear to auscultation bilaterally.", "Lungs: CTAB."),
    ("Percocet as needed", "oxycodone and acetaminophen as needed"),
    ("no cough - has a murmur", "has a murmur, denies cough"),
]
DIFFERENT = [
    ("grade 2 of 4", "grade 3 of 4", "number"),
    ("Lasix 40 mg twice daily", "Lasix 40 mg three times daily", "number"),
    ("seen on 3/14/2150", "seen on 4/13/2150", "number"),
    ("twelve tablets", "eleven tablets", "number"),
    ("Lasix 40 mg", "Lasix 40 mcg", "unit"),
    ("pain for 3 days", "pain for 3 weeks", "unit"),
    ("left arm", "right arm", "side"),
    ("RUQ mass", "LUQ mass", "side"),
    ("on Lasix and aspirin", "on digoxin and aspirin", "drug"),
    ("denies fever", "has fever", "negation"),
    ("fever; no cough", "no fever; cough", "negation"),
    ("there isn't any edema", "there is edema", "negation"),
]


@pytest.mark.parametrize(("original", "rewrite"), SAME)
def test_the_same_said_otherwise(original: str, rewrite: str) -> None:
    assert differences(original, rewrite) == []
    assert differences(rewrite, original) == []


@pytest.mark.parametrize(("original", "rewrite", "kind"), DIFFERENT)
def test_one_thing_changed(original: str, rewrite: str, kind: str) -> None:
    assert differences(original, rewrite) == [kind]
    assert differences(rewrite, original) == [kind]


def test_a_finding_under_another_name_is_not_judged() -> None:
    assert judged_negations("no fever, no cough", "no fever, no tussis") == (1, 2)
