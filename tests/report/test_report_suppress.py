"""Small-cell suppression: no count from 1 to 10 may be shown, nor be worked out from its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_factories import backdoor_fail, failed

from mlflow_clinsec.report.mask_texts import mask_text, mask_texts
from mlflow_clinsec.report.suppress import (
    WITHHELD,
    is_count,
    mask_named,
    mask_summary,
    mask_table,
    show_count,
)
from mlflow_clinsec.results import Family

counts = st.integers(min_value=0, max_value=500)
trees = st.recursive(
    counts | st.text(max_size=5) | st.floats(allow_nan=True),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=5),
    max_leaves=20,
)


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        for branch in tree.values():
            yield from leaves(branch)
    else:
        yield tree


@pytest.mark.parametrize(("n", "shown"), [(0, 0), (1, "<11"), (10, "<11"), (11, 11), (400, 400)])
def test_counts_from_one_to_ten_are_hidden_and_zero_is_shown(n: int, shown: int | str) -> None:
    assert show_count(n, 11) == shown


def test_min_cell_of_one_hides_nothing() -> None:
    assert mask_summary({"members": 3, "nonmembers": 1}, min_cell=1) == {"members": 3, "nonmembers": 1}


@given(st.dictionaries(st.text(min_size=1, max_size=8), trees, max_size=5), st.integers(2, 30))
def test_no_small_whole_number_is_left_in_a_summary(tree: dict[str, Any], min_cell: int) -> None:
    for leaf in leaves(mask_summary(tree, min_cell)):
        if isinstance(leaf, int):
            assert leaf == 0 or leaf >= min_cell


@given(st.dictionaries(st.text(min_size=1, max_size=8), counts, min_size=2, max_size=6))
def test_a_breakdown_never_hides_exactly_one_of_several_cells(cells: dict[str, int]) -> None:
    """One hidden cell would be the total less the others; it may stay alone only where all others are 0."""
    masked = mask_summary({"labels": cells})["labels"]
    hidden = [key for key, value in masked.items() if isinstance(value, str)]
    others = [key for key, value in cells.items() if key not in hidden and value > 0]
    assert len(hidden) != 1 or not others


def test_the_next_smallest_is_withheld_by_hand() -> None:
    # 100 records in total: if only "died" were hidden, 100 - 60 - 36 = 4 would give it away
    assert mask_summary({"labels": {"alive": 60, "died": 4, "moved": 36}}) == {
        "labels": {"alive": 60, "died": "<11", "moved": WITHHELD}
    }


def test_members_are_withheld_where_nonmembers_are_few() -> None:
    masked = mask_summary({"records": 60, "members": 52, "nonmembers": 8})
    assert masked == {"records": 60, "members": WITHHELD, "nonmembers": "<11"}


def test_a_total_is_withheld_where_the_difference_to_its_parts_is_small() -> None:
    # 800 - 400 - 396 = 4 records were left out by the overlap guard; "<11" would be no secret beside the total
    counts = {"records": 800, "members": 400, "nonmembers": 396, "patients": 200, "member_patients": 103}
    masked = mask_summary({**counts, "nonmember_patients": 100})
    assert masked["records"] == WITHHELD
    assert masked["patients"] == WITHHELD  # 3 patients have notes on both sides
    assert mask_summary({**counts, "nonmembers": 380})["records"] == 800
    assert mask_summary({**counts, "nonmembers": 400})["records"] == 800


def test_histogram_columns_are_partitions_and_n_is_not() -> None:
    table = pd.DataFrame({"bin_low": [0.0, 1.0, 2.0], "members": [4, 40, 20], "n": [4, 40, 20], "asr": [0.5, 1, 2]})
    masked = mask_table(table)
    assert masked["members"].tolist() == ["<11", 40, WITHHELD]
    assert masked["n"].tolist() == ["<11", 40, 20]
    assert masked["asr"].tolist() == [0.5, 1, 2]
    assert table["members"].tolist() == [4, 40, 20]


def test_numpy_counts_and_undefined_counts() -> None:
    table = pd.DataFrame({"n": [np.nan, 3.0, 30.0]})
    assert mask_table(table)["n"].tolist()[1:] == ["<11", 30.0]
    assert mask_summary({"records": np.int64(7), "share": 0.5, "flag": True})["records"] == "<11"


def test_named_values_hide_counts_only() -> None:
    values = {"n_members": 7.0, "p_value": 0.5, "layer": 3.0, "by_test": {"mn-head": {"n": 5, "value": 2.0}}}
    assert mask_named(values) == {
        "n_members": "<11",
        "p_value": 0.5,
        "layer": 3.0,
        "by_test": {"mn-head": {"n": "<11", "value": 2.0}},
    }
    assert mask_named({"counts": [1, 20]}) == {"counts": ["<11", 20]}


@pytest.mark.parametrize("name", ["n", "members", "n_members", "mn-head/n", "accepted_count", "records"])
def test_count_names(name: str) -> None:
    assert is_count(name)


@pytest.mark.parametrize("name", ["asr", "coverage", "layer", "neg", "nonmember_share", "p_value"])
def test_other_names(name: str) -> None:
    assert not is_count(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("needs at least 1000 non-members, got 7", "needs at least 1000 non-members, got <11"),
        ("only 1 scored records on the smaller side", "only <11 scored records on the smaller side"),
        ("records of 3 patients; 12 are needed", "records of <11 patients; 12 are needed"),
        ("Only 10 records on the smaller side", "Only <11 records on the smaller side"),
        ("needs at least 2 records", "needs at least 2 records"),
        ("Worst AUC is 0.957 at 1% FPR of 400 records", "Worst AUC is 0.957 at 1% FPR of 400 records"),
        ("RuntimeError at forward:8", "RuntimeError at forward:8"),
    ],
)
def test_small_counts_in_sentences(text: str, shown: str) -> None:
    assert mask_text(text) == shown


@given(st.text(max_size=80))
def test_masking_a_sentence_twice_changes_nothing_more(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


def test_reasons_and_notes_of_a_report_are_masked() -> None:
    from dataclasses import replace

    report = backdoor_fail()
    verdict = replace(report.verdict, notes=("Only 7 records on the smaller side.",))
    lost = replace(failed(Family.PRIVACY, "lira"), reason="needs 50 records, got 6")
    masked = mask_texts(replace(report, verdict=verdict, results=(*report.results, lost)))
    assert masked.verdict.notes == ("Only <11 records on the smaller side.",)
    assert masked.results[-1].reason == "needs 50 records, got <11"
