"""The MIMIC-III cohort on made-up files: who is in, and who is not and why."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pytest
from clinical_files import Mimic, small_mimic
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets.cohort.build import build_cohort
from mlflow_clinsec.datasets.cohort.mimic_iii import age_at
from mlflow_clinsec.datasets.cohort.options import CohortOptions
from mlflow_clinsec.datasets.stay_text import SEPARATOR
from mlflow_clinsec.errors import ConfigError

SECRET = "Jane Doe has sarcoidosis"


def built(made: Mimic, folder, **options):
    return build_cohort("mimic-iii", str(made.write(folder)), CohortOptions(**options))


def dropped(cohort):
    """Reason -> how many, of the reasons that dropped somebody."""
    return {row.step: row.dropped for row in cohort.flow.itertuples() if row.dropped}


def test_one_row_per_stay_with_its_notes_in_time_order(tmp_path):
    made = small_mimic()
    made.note(3, 1003, 0.5, "Earliest.")
    frame = built(made, tmp_path).frame
    assert frame.columns.tolist() == ["patient_id", "stay_id", "notes", "text", "label", "part"]
    assert frame["patient_id"].tolist() == [str(i) for i in range(1, 13)]
    assert frame["label"].tolist() == ["died" if i % 3 == 0 else "alive" for i in range(1, 13)]
    notes = [f'Note {i} of patient 3: "stable",\nresting.' for i in range(2)]
    assert frame.loc[2, "text"] == SEPARATOR.join(["Earliest.", *notes])
    assert frame.loc[2, "notes"] == 3
    assert frame.loc[2, "stay_id"] == "2003"


def test_one_row_per_note(tmp_path):
    frame = built(small_mimic(), tmp_path, rows="note").frame
    assert frame.columns.tolist() == ["patient_id", "stay_id", "hours", "text", "label", "part"]
    assert len(frame) == 24
    assert frame["hours"].tolist() == [1.0, 2.0] * 12
    assert (frame.groupby("patient_id")["part"].nunique() == 1).all()


@pytest.mark.parametrize(("suffix", "lower"), [(".csv.gz", False), (".csv", True), (".csv.gz", True)])
def test_packed_and_lower_case_files_give_the_same_cohort(suffix, lower, tmp_path):
    for name in ("plain", "other"):
        (tmp_path / name).mkdir()
    plain = built(small_mimic(), tmp_path / "plain")
    other = build_cohort("mimic-iii", str(small_mimic().write(tmp_path / "other", suffix, lower)))
    pd.testing.assert_frame_equal(other.frame, plain.frame)
    assert dropped(other) == dropped(plain) == {}


def test_stays_are_dropped_for_the_first_reason_that_holds(tmp_path):
    made = small_mimic()
    made.whole(20, age=17)  # too young
    made.whole(21, age=300)  # above 89
    made.patient(22)  # its first stay, of 20 h, decides
    made.admission(1022, 22)
    made.stay(2022, 22, 1022, start=0, length=20)
    made.stay(3022, 22, 1022, start=30, length=100)
    made.note(22, 1022, 31, "In the second stay.")
    made.patient(23)  # length unknown
    made.admission(1023, 23)
    made.stay(2023, 23, 1023, length=None)
    made.patient(24)  # dead in hour 30 while the bed was kept
    made.admission(1024, 24, died=True, left=30)
    made.stay(2024, 24, 1024, length=60)
    made.whole(25, notes=0)
    made.stay(2026, 26, 1026)  # of nobody
    cohort = built(made, tmp_path)
    assert cohort.frame["patient_id"].tolist() == [str(i) for i in [*range(1, 13), 21]]
    assert dropped(cohort) == {
        "patient or admission not in the files": 1,
        "not the patient's first ICU stay": 1,
        "younger than 18 years": 1,
        "length of ICU stay unknown": 1,
        "ICU stay shorter than 48 h": 1,
        "died or left the hospital within 48 h, ICU stay recorded as longer": 1,
        "of a patient outside the cohort": 3,
        "without a note in the window": 1,
    }
    stays = cohort.flow[cohort.flow["unit"] == "stay"]
    assert stays["left"].iloc[0] == 20
    assert (stays["left"] == 20 - stays["dropped"].cumsum()).all()
    assert stays["left"].iloc[-1] == 13


def test_notes_are_dropped_for_the_first_reason_that_holds(tmp_path):
    made = small_mimic()
    made.patient(50)
    made.note(50, "", 1, "Of nobody in the cohort.", ISERROR="not looked at", CHARTTIME="neither is this")
    made.note(1, "", 1, "Without an admission.")
    made.note(1, 9999, 1, "Of another admission.")
    made.note(1, 1001, 1, "Wrong.", ISERROR="1", CATEGORY="Discharge summary")
    made.note(1, 1001, 1, "Summary.", CATEGORY="Discharge summary")
    made.note(1, 1001, None, "Without a time.", CATEGORY="ECG")
    made.note(1, 1001, -0.5, "From the emergency room.")
    made.note(1, 1001, 48.1, "On the third day.")
    made.note(1, 1001, 3, "[**2150-3-1**] \n [**Name**]")
    made.note(1, 1001, 4, " N/A ")
    made.note(1, "1001.0", 48, "At the very end.")
    made.note(1, 1001, 0, "At the very start.")
    cohort = built(made, tmp_path)
    assert dropped(cohort) == {
        "of a patient outside the cohort": 1,
        "of another admission, or of none": 2,
        "marked as an error": 1,
        "discharge summary": 1,
        "without chart time": 1,
        "charted before ICU admission": 1,
        "charted after the window": 1,
        "without text": 2,
    }
    notes = cohort.frame.loc[0, "text"].split(SEPARATOR)
    assert notes[0] == "At the very start."
    assert notes[-1] == "At the very end."
    assert len(notes) == 4
    assert cohort.flow[cohort.flow["unit"] == "note"]["left"].tolist()[0] == 36
    assert cohort.flow[cohort.flow["unit"] == "note"]["left"].tolist()[-1] == 26


def test_window_age_and_brackets_can_be_set(tmp_path):
    made = small_mimic()
    made.whole(20, age=17)
    made.note(1, 1001, 20, "Seen by [**Last Name (STitle) 12**] at [**Hospital1 18**].")
    short = built(made, tmp_path, hours=1.5, least_age=16, brackets="replace")
    assert "20" in set(short.frame["patient_id"])
    assert (short.frame["notes"] == 1).all()
    assert "ICU stay shorter than 1.5 h" in set(short.flow["step"])
    assert "Seen by person at hospital ." in built(made, tmp_path, brackets="replace").frame.loc[0, "text"]


def test_parts_share_no_patient_and_follow_the_seed(tmp_path):
    first, same, other = (built(small_mimic(60), tmp_path, rows="note", seed=seed).frame for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, same)
    assert not first["part"].equals(other["part"])
    assert first.drop_duplicates("patient_id")["part"].value_counts().to_dict() == {
        "train": 42,
        "validation": 9,
        "test": 9,
    }


@pytest.mark.parametrize(
    ("birth", "years"),
    [
        ("2132-03-01", 18),
        ("2132-03-02", 17),
        ("2060-03-02", 89),
        ("2060-03-01", 90),
        ("1850-03-01", 90),
        ("2150-03-02", -1),
    ],
)
def test_age_counts_birthdays(birth, years):
    assert age_at(datetime(2150, 3, 1, 8), datetime.fromisoformat(birth)) == years


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": 0.5, "test": 0.4}, "shares: expected positive shares"),
        ({"train": 1.2, "test": -0.2}, "shares: expected positive shares"),
        ({}, "shares: expected positive shares"),
    ],
)
def test_shares_that_are_none_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        CohortOptions(shares=settings)


@settings(deadline=None)  # an example writes and reads files
@given(hours=st.integers(1, 200), minutes=st.lists(st.integers(-600, 15_000), min_size=1, max_size=8))
def test_the_window_keeps_exactly_the_notes_charted_in_it(hours, minutes, tmp_path_factory):
    made = small_mimic(8)
    for stay in made.stays:
        stay["OUTTIME"] = str(datetime(2150, 3, 1) + timedelta(days=30))
    for admission in made.admissions:
        admission["DISCHTIME"] = admission["DEATHTIME"] = ""
    for i, minute in enumerate(minutes):
        made.note(1, 1001, minute / 60, f"extra {i}")
    frame = built(made, tmp_path_factory.mktemp("window"), hours=hours, rows="note").frame
    extra = {text for text in frame["text"] if text.startswith("extra")}
    assert extra == {f"extra {i}" for i, minute in enumerate(minutes) if 0 <= minute <= hours * 60}
