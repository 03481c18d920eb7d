"""Planting canaries: coins are fair and blind, secrets differ, and the manifest is private and strictly read."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.datasets.canaries import MANIFEST_COLUMNS, CanaryColumns, plant
from mlflow_clinsec.datasets.manifest import read_canaries, write_private
from mlflow_clinsec.errors import ConfigError, DataError

CORPUS = generate_corpus(20, 4)


def test_the_included_canaries_and_no_others_are_added() -> None:
    planted = plant(CORPUS.notes, 60, 1)
    included = planted.manifest["included"].to_numpy()
    assert tuple(planted.manifest.columns) == ("canary_id", "included", "prompt", "response", "label")
    assert sorted(planted.manifest.columns) == sorted(MANIFEST_COLUMNS)
    assert planted.records["text"].tolist() == planted.manifest["response"][included].tolist()
    assert planted.frame["text"].tolist() == [*CORPUS.notes["text"], *planted.records["text"]]
    left_out = set(planted.manifest["response"][~included])
    assert not left_out & set(planted.frame["text"])


def test_pairs_get_prompts_and_an_answer_that_opens_with_the_secret() -> None:
    planted = plant(CORPUS.qa, 40, 1)
    assert planted.manifest["response"].str.match(r"Study number \d{4} \d{4} \d{4}\. ").all()
    assert planted.manifest["prompt"].str.contains("Question:").all()
    assert planted.records["prompt"].notna().all()


def test_labels_and_patients_are_filled() -> None:
    columns = CanaryColumns(label="outcome", patient="patient_id")
    planted = plant(CORPUS.notes, 200, 2, columns)
    assert set(planted.records["outcome"]) == {"alive", "died"}
    assert not set(planted.records["patient_id"]) & set(CORPUS.notes["patient_id"])
    assert planted.records["patient_id"].is_unique
    numbered = CORPUS.notes.assign(patient_id=np.arange(len(CORPUS.notes)))
    again = plant(numbered, 40, 2, columns)
    assert again.records["patient_id"].min() >= len(CORPUS.notes)
    assert pd.api.types.is_integer_dtype(again.frame["patient_id"])


def test_ids_that_are_taken_are_avoided() -> None:
    once = plant(CORPUS.notes, 40, 3, CanaryColumns(patient="patient_id"))
    twice = plant(once.frame, 40, 4, CanaryColumns(patient="patient_id"))
    assert not set(twice.records["patient_id"]) & set(once.frame["patient_id"])


def test_the_coins_are_fair_and_see_nothing_of_the_canary() -> None:
    first, second = plant(CORPUS.notes, 400, 5).manifest, plant(CORPUS.notes, 400, 6).manifest
    for manifest in (first, second):
        assert abs(manifest["included"].mean() - 0.5) < 0.1  # four standard deviations
        lengths = manifest["response"].str.len()
        assert abs(np.corrcoef(lengths, manifest["included"])[0, 1]) < 0.2
    assert (first["included"] != second["included"]).any()


def test_a_canary_repeats_neither_the_corpus_nor_another_canary() -> None:
    planted = plant(CORPUS.notes, 100, 4)  # the corpus's own seed
    assert planted.manifest["response"].is_unique
    assert planted.manifest["response"].str.extract(r"(Study number [\d ]+)")[0].is_unique
    without_secret = planted.manifest["response"].str.replace(r"Study number [\d ]+\.\n", "", regex=True)
    assert not set(without_secret) & set(CORPUS.notes["text"])


def test_the_same_seed_plants_the_same() -> None:
    pd.testing.assert_frame_equal(plant(CORPUS.notes, 30, 9).manifest, plant(CORPUS.notes, 30, 9).manifest)


@pytest.mark.parametrize("n", [19, 1001])
def test_number_out_of_range(n: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 20 and at most 1000, got {n}"):
        plant(CORPUS.notes, n, 0)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (CanaryColumns(text="body"), "neither a column 'body' nor both of 'prompt' and 'response'"),
        (CanaryColumns(label="died"), "no label column 'died'"),
        (CanaryColumns(patient="mrn"), "no patient column 'mrn'"),
    ],
)
def test_missing_columns(columns: CanaryColumns, words: str) -> None:
    with pytest.raises(DataError, match=words):
        plant(CORPUS.notes, 20, 0, columns)


@pytest.mark.parametrize("suffix", ["csv", "json"])
@pytest.mark.parametrize("frame", [CORPUS.notes, CORPUS.qa], ids=["notes", "pairs"])
def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path, suffix: str, frame: pd.DataFrame) -> None:
    label = "outcome" if "outcome" in frame else None
    planted = plant(frame, 50, 7, CanaryColumns(label=label))
    path = tmp_path / f"manifest.{suffix}"
    write_private(planted.manifest, str(path), "manifest")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    canaries = read_canaries(str(path), {"died": "dead"})
    assert canaries.responses == tuple(planted.manifest["response"])
    assert canaries.prompts == tuple(planted.manifest["prompt"])
    assert canaries.member is not None
    assert canaries.member.tolist() == planted.manifest["included"].tolist()
    assert (canaries.labels is None) == (label is None)
    if canaries.labels is not None:
        assert set(canaries.labels) == {"alive", "dead"}


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("the only one")
    with pytest.raises(DataError, match="is there already and is not written over"):
        write_private(plant(CORPUS.notes, 20, 0).manifest, str(path), "manifest")
    assert path.read_text() == "the only one"


@pytest.mark.parametrize(("name", "words"), [("m.txt", "suffix '.txt'"), ("no/such/m.csv", "cannot write")])
def test_places_that_cannot_be_written(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        write_private(plant(CORPUS.notes, 20, 0).manifest, str(tmp_path / name), "manifest")


SECRET = "Study number 1111 2222 3333"
ROWS = [{"included": i % 2 == 0, "response": f"{SECRET} {i}"} for i in range(8)]


def _without(key: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != key} for row in ROWS]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{broken", "not readable as a table in .json"),
        ('{"included": true}', "not readable as a table"),
        ("[1, 2]", "not readable as a table"),
        ("[]", "lacks the column 'included'"),
        (_without("included"), "lacks the column 'included'"),
        (_without("response"), "lacks the column 'response'"),
        ([{**row, "included": "maybe"} for row in ROWS], "must hold true and false; 8 of 8 rows do not"),
        ([{**row, "included": None} for row in ROWS], "must hold true and false; 8 of 8"),
        ([{**ROWS[0], "response": " "}, *ROWS[1:]], "non-empty text; 1 of 8 rows do not"),
        ([{**ROWS[0], "response": 7}, *ROWS[1:]], "non-empty text; 1 of 8 rows do not"),
        ([{**ROWS[0], "prompt": "q"}, *ROWS[1:]], "'prompt' must be filled in all rows or in none"),
        ([*ROWS, ROWS[0]], "stand there twice"),
        ([{**row, "included": True} for row in ROWS], "got 8 and 0"),
    ],
)
def test_a_malformed_manifest_is_refused_and_not_quoted(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=r"privacy\.canaries") as caught:
        read_canaries(str(path), {})
    assert words in str(caught.value)
    assert "1111" not in str(caught.value)


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_canaries(str(tmp_path / "none.csv"), {})
    with pytest.raises(DataError, match=r"suffix '\.parquet'"):
        read_canaries(str(tmp_path / "none.parquet"), {})


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["csv", "json"]))
def test_no_file_whatever_crashes_the_reader(tmp_path_factory: Any, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"m.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_canaries(str(path), {})
