"""Training rows: what counts as a near duplicate, and what rewordings keep."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mlflow_clinsec.overlap import repeated
from mlflow_clinsec.perturb.paraphrase import ParaphraseOptions
from mlflow_clinsec.training.curate import copied_forward, deduplicate, with_rewordings

SIX = "one two three four five six"


def words(start: int, stop: int) -> str:
    return " ".join(f"w{i}" for i in range(start, stop))


def test_near_duplicates_by_hand():
    # 20 words have 16 five-word shingles. One word more: 16 shared of 17 in all, 0.94. One word changed in the middle:
    # 11 shared of 21, 0.52. The first of a kind stays, whatever stands between it and its copies.
    texts = [words(0, 20), words(50, 70), words(0, 20).upper(), words(0, 21), words(0, 10) + " other " + words(11, 20)]
    assert repeated(texts).tolist() == [False, False, True, True, False]


def test_a_chain_of_small_changes_collapses_into_its_first():
    # Neighbours are alike (16 shared of 18: 0.89), the ends are not (0.78): the last goes as a copy of the middle one.
    chain = [words(i, i + 21) for i in (0, 1, 2)]
    assert repeated(chain).tolist() == [False, True, True]
    assert repeated(chain[::2]).tolist() == [False, False]
    assert repeated([]).tolist() == []


def test_likeness_is_seen_across_blocks_of_rows(monkeypatch):
    monkeypatch.setattr("mlflow_clinsec.overlap._BLOCK_ROWS", 2)
    texts = [words(i * 30, i * 30 + 20) for i in range(5)]
    assert repeated(texts + texts[::-1]).tolist() == [False] * 5 + [True] * 5


def test_prompt_and_answer_count_together():
    # Twelve shingles are the question's own, so the same question may be asked of many patients.
    pairs = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c", "a"],
            "prompt": [SIX] * 4,
            "response": [words(0, 12), words(20, 32), words(40, 52), words(0, 12)],
        }
    )
    kept = deduplicate(pairs)
    assert kept.index.tolist() == [0, 1, 2]


def test_rewordings_stand_after_the_rows_and_keep_patient_and_facts():
    pairs = pd.DataFrame(
        {
            "patient_id": ["a", "b"],
            "prompt": ["Was there any chest pain on admission?", "What was given?"],
            "response": [
                "The patient was admitted with chest pain and received aspirin 81 mg daily.",
                "The patient was given heparin 5000 units and showed no evidence of bleeding.",
            ],
        }
    )
    both = with_rewordings(pairs, ParaphraseOptions(count=2), np.random.default_rng(0))
    pd.testing.assert_frame_equal(both.iloc[:2], pairs)
    added = both.iloc[2:]
    assert len(added) >= 2
    assert added["patient_id"].tolist() == sorted(added["patient_id"])
    for row in added.itertuples():
        original = pairs[pairs["patient_id"] == row.patient_id].iloc[0]
        assert (row.prompt, row.response) != (original["prompt"], original["response"])
        assert re.findall(r"\d+", row.response) == re.findall(r"\d+", original["response"])
    again = with_rewordings(pairs, ParaphraseOptions(count=2), np.random.default_rng(0))
    pd.testing.assert_frame_equal(both, again)


def test_copies_are_whole_rows_in_the_asked_number():
    pairs = pd.DataFrame(
        {"patient_id": range(10), "prompt": "p", "response": [words(i * 20, i * 20 + 20) for i in range(10)]}
    )
    copied = copied_forward(pairs, share=0.3, copies=2, rng=np.random.default_rng(0))
    assert copied["response"].value_counts().value_counts().to_dict() == {1: 7, 3: 3}
    assert deduplicate(copied)["response"].tolist() == pairs["response"].tolist()
    assert len(copied_forward(pairs, 0.0, 5, np.random.default_rng(0))) == 10
