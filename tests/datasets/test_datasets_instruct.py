"""The layout of MIMIC-IV-Ext-Instr, on generated files: nothing here stems from a patient."""

from __future__ import annotations

import json
import logging

import pandas as pd
import pytest

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.datasets.instruct import InstructLayout, find_file, load_instruct
from mlflow_clinsec.errors import ConfigError, DataError


def write_folder(folder, parts):
    """Files of the layout: ``parts`` names the patients of each cohort, by number."""
    qa = generate_corpus(12, seed=0).qa
    admissions = {name: 100 + i for i, name in enumerate(qa["admission_id"].unique())}
    patients = {name: i for i, name in enumerate(qa["patient_id"].unique())}
    rows = pd.DataFrame({"hadm_id": qa["admission_id"].map(admissions), "q": qa["prompt"], "a": qa["response"]})
    rows = rows.assign(subject_id=qa["patient_id"].map(patients), kind=qa["kind"])
    for kind in ("event", "note"):
        some = rows[rows["kind"] == kind].drop(columns=["kind", "subject_id"])
        some.assign(event_type="labevents").to_json(folder / f"qa_{kind}.jsonl", orient="records", lines=True)
    stays = rows[["subject_id", "hadm_id"]].drop_duplicates()
    for part, numbers in parts.items():
        chosen = stays[stays["subject_id"].isin(numbers)]
        # one admission may have several intensive-care stays, and pandas writes numbers beside gaps as floats
        doubled = pd.concat([chosen, chosen.iloc[:1]]).astype({"hadm_id": float})
        doubled.to_csv(folder / f"cohort_{part}.csv", index=False)
    return rows


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, {"train": range(6), "val": (6, 7, 8), "test": (9, 10, 11)})
    return tmp_path


def test_questions_are_joined_to_patients_through_their_admissions(tmp_path):
    rows = write_folder(tmp_path, {"train": range(6), "val": (6, 7), "test": (9, 10, 11)})
    found = load_instruct(str(tmp_path))
    assert found.columns.tolist() == [
        "patient_id", "admission_id", "kind", "prompt", "response", "part", "in_training"
    ]  # fmt: skip
    expected = rows[rows["subject_id"] != 8]  # in no part
    assert sorted(found["response"]) == sorted(expected["a"])
    truth = dict(zip(expected["hadm_id"].astype(str), expected["subject_id"].astype(str), strict=True))
    assert found["patient_id"].tolist() == [truth[admission] for admission in found["admission_id"]]
    assert found["in_training"].equals(found["patient_id"].astype(int) < 6)
    assert set(found["kind"]) == {"event", "note"}


def test_validation_that_overlaps_test_loses_its_patients_with_a_warning(tmp_path, caplog):
    write_folder(tmp_path, {"train": range(6), "val": (6, 7, 9, 10, 11), "test": (9, 10, 11)})
    with caplog.at_level(logging.WARNING):
        found = load_instruct(str(tmp_path))
    assert "parts 'val' and 'test' share 3 patients: they are kept in 'test' only" in caplog.text
    assert set(found.loc[found["part"] == "val", "patient_id"]) == {"6", "7"}
    assert set(found.loc[found["part"] == "test", "patient_id"]) == {"9", "10", "11"}
    assert (found.groupby("patient_id")["part"].nunique() == 1).all()


def test_patients_of_training_and_another_part_are_left_out(tmp_path, caplog):
    write_folder(tmp_path, {"train": range(6), "val": (5, 6, 7), "test": (0, 7, 8)})
    with caplog.at_level(logging.WARNING):
        found = load_instruct(str(tmp_path))
    assert "parts 'train' and 'val' share 1 patients: they are left out" in caplog.text
    assert set(found.loc[found["in_training"], "patient_id"]) == {"1", "2", "3", "4"}
    assert set(found.loc[~found["in_training"], "patient_id"]) == {"6", "7", "8"}


def test_a_sample_of_patients_keeps_all_their_questions(folder):
    whole = load_instruct(str(folder))
    some = load_instruct(str(folder), InstructLayout(patients=2, seed=1))
    assert some.groupby("part")["patient_id"].nunique().to_dict() == {"train": 2, "val": 2, "test": 2}
    kept = whole[whole["patient_id"].isin(some["patient_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, kept)
    pd.testing.assert_frame_equal(some, load_instruct(str(folder), InstructLayout(patients=2, seed=1)))
    assert set(load_instruct(str(folder), InstructLayout(patients=2, seed=2))["patient_id"]) != set(some["patient_id"])


def test_other_names_formats_and_a_reference_to_the_events(folder):
    for kind in ("event", "note"):
        frame = pd.read_json(folder / f"qa_{kind}.jsonl", lines=True)
        frame = frame.rename(columns={"q": "question", "a": "answer", "hadm_id": "stay"})
        frame.to_csv(folder / f"{kind}s.csv.gz", index=False)
    for part in ("train", "test"):
        cohort = pd.read_csv(folder / f"cohort_{part}.csv").rename(columns={"hadm_id": "stay", "subject_id": "who"})
        cohort.to_parquet(folder / f"{part}.parquet")
    layout = InstructLayout(
        questions={"event": "events", "note": "notes"},
        cohort="{part}",
        parts=("train", "test"),
        question="question",
        answer="answer",
        admission="stay",
        patient="who",
        event_reference="[events of {admission}] ",
    )
    found = load_instruct(str(folder), layout)
    plain = load_instruct(str(folder))
    plain = plain[plain["part"] != "val"].reset_index(drop=True)
    assert found["response"].tolist() == plain["response"].tolist()
    reference = "[events of " + plain["admission_id"] + "] "
    assert found["prompt"].tolist() == (reference + plain["prompt"]).tolist()


def test_no_line_of_another_part_needs_an_answer(folder):
    with (folder / "qa_note.jsonl").open("a") as file:
        file.write(json.dumps({"q": "x", "a": "", "hadm_id": 9999}) + "\n")
    load_instruct(str(folder))


def append(folder, name, line):
    with (folder / name).open("a") as file:
        file.write(line + "\n")


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("qa_note.jsonl", '{"q": "x", "a": "", "hadm_id": 100}', r"qa_note: line \d+ has an empty answer"),
        ("qa_note.jsonl", '{"q": "x", "hadm_id": 100}', r"qa_note: line \d+ has no 'a'"),
        ("qa_event.jsonl", '{"q": "x", "a": "y", "hadm_id": null}', r"qa_event: line \d+ has no usable 'hadm_id'"),
        ("qa_event.jsonl", '{"q": "x", "a": 5, "hadm_id": 100}', r"'a' must be text, got int"),
        ("qa_event.jsonl", '{"q": ', r"qa_event: broken JSON at line \d+"),
        ("cohort_val.csv", ",100.0", r"cohort_val: line \d+ has no usable 'subject_id'"),
        (
            "cohort_train.csv",
            "77,100.0",
            r"cohort_train: line \d+ gives an earlier line's 'hadm_id' to another patient",
        ),
    ],
)
def test_malformed_lines_are_told_by_file_and_line(name, line, message, folder):
    append(folder, name, line)
    with pytest.raises(DataError, match=message):
        load_instruct(str(folder))


def test_an_empty_answer_can_be_left_out(folder, caplog):
    before = load_instruct(str(folder))
    append(folder, "qa_note.jsonl", '{"q": "x", "a": " ", "hadm_id": 100}')
    with caplog.at_level(logging.WARNING):
        pd.testing.assert_frame_equal(load_instruct(str(folder), InstructLayout(skip_empty=True)), before)
    assert "qa_note: 1 rows" in caplog.text


def test_missing_and_doubled_files_are_told(folder):
    with pytest.raises(DataError, match="expected a folder"):
        load_instruct(str(folder / "absent"))
    with pytest.raises(DataError, match="no file named 'cohort_dev'"):
        load_instruct(str(folder), InstructLayout(parts=("train", "dev")))
    (folder / "qa_note.csv").write_text("q,a,hadm_id\n")
    with pytest.raises(DataError, match="2 files named 'qa_note'"):
        find_file(folder, "qa_note")
    (folder / "qa_note.csv").unlink()
    for kind in ("event", "note"):
        (folder / f"qa_{kind}.jsonl").write_text('{"q": "x", "a": "y", "hadm_id": 9999}\n')
    with pytest.raises(DataError, match="no question belongs to an admission of the cohorts"):
        load_instruct(str(folder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": ("train",)}, "parts: expected two or more"),
        ({"parts": ("train", "train")}, "parts: expected two or more different names"),
        ({"questions": {}}, "questions: expected at least one"),
        ({"cohort": "cohort"}, "cohort: the name must hold {part}"),
        ({"event_reference": "events"}, "event_reference: the text must hold {admission}"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        InstructLayout(**settings)
