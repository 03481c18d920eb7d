from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets import split_patients
from mlflow_clinsec.errors import ConfigError, DataError


@given(
    st.lists(st.integers(0, 30), min_size=40, max_size=120).filter(lambda codes: len(set(codes)) >= 10),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=50)
def test_every_row_falls_on_one_side_with_its_patient(codes: list[int], seed: int):
    frame = pd.DataFrame({"patient_id": codes, "row": np.arange(len(codes))})
    parts = split_patients(frame, {"train": 0.6, "test": 0.4}, seed)
    assert sorted(pd.concat(parts.values())["row"]) == list(range(len(codes)))
    assert not set(parts["train"]["patient_id"]) & set(parts["test"]["patient_id"])
    # Shares are of patients, to the nearest whole patient.
    assert parts["train"]["patient_id"].nunique() == round(0.6 * len(set(codes)))


def test_rows_keep_their_order_and_index():
    frame = pd.DataFrame({"patient_id": list("abcdabcd")}, index=range(100, 108))
    part = split_patients(frame, {"half": 0.5}, seed=0)["half"]
    assert list(part.index) == sorted(part.index)
    assert frame.loc[part.index].equals(part)
    assert len(part) == 4  # two patients, two rows each


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows():
    frame = pd.DataFrame({"who": [f"p{i}" for i in range(200)]})
    halves = {"a": 0.5, "b": 0.5}
    first = split_patients(frame, halves, seed=1, column="who")["a"]["who"]
    shuffled = split_patients(frame.sample(frac=1, random_state=3), halves, seed=1, column="who")["a"]["who"]
    other = split_patients(frame, halves, seed=2, column="who")["a"]["who"]
    assert set(first) == set(shuffled)
    assert len(set(first) & set(other)) < 75  # 50 expected, standard deviation 3.5 patients


def test_each_patient_is_as_likely_as_any_other():
    frame = pd.DataFrame({"patient_id": range(10)})
    counts = np.zeros(10)
    for seed in range(600):
        counts[split_patients(frame, {"part": 0.3}, seed)["part"]["patient_id"]] += 1
    # 180 expected each, standard deviation sqrt(600 * 0.3 * 0.7) = 11.2.
    assert np.abs(counts - 180).max() < 50


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({}, "at least one part"),
        ({"train": 0.7, "test": 0.4}, r"at most 1, got 1\.1"),
        ({"train": 0.0}, r"'train' must lie in \(0, 1\], got 0"),
        ({"train": -0.1, "test": 0.5}, "'train'"),
        ({"train": float("nan")}, "'train'"),
    ],
)
def test_bad_fractions_are_named(fractions: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        split_patients(pd.DataFrame({"patient_id": range(9)}), fractions, 0)


def test_bad_frames_are_refused_without_showing_a_patient():
    with pytest.raises(DataError, match=r"no column 'patient'.*Did you mean 'patient_id'"):
        split_patients(pd.DataFrame({"patient_id": ["secret"]}), {"a": 0.5}, 0, column="patient")
    with pytest.raises(DataError, match="missing values") as caught:
        split_patients(pd.DataFrame({"patient_id": ["secret", None]}), {"a": 0.5}, 0)
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="part 'b' gets none of the 3 patients"):
        split_patients(pd.DataFrame({"patient_id": [1, 2, 3]}), {"a": 0.9, "b": 0.1}, 0)
