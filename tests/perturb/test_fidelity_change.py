"""The share of words changed, against the textbook dynamic programme."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.perturb.change import common_length, word_change, words


def reference_common_length(first: list[str], second: list[str]) -> int:
    """Longest common subsequence by the quadratic table."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


SHORT = st.lists(st.sampled_from("abcd"), max_size=70)


@given(SHORT, SHORT)
def test_common_length_equals_the_reference(first: list[str], second: list[str]) -> None:
    assert common_length(first, second) == reference_common_length(first, second)


@given(st.text(), st.text())
def test_change_is_a_symmetric_share(first: str, second: str) -> None:
    change = word_change(first, second)
    assert 0 <= change <= 1
    assert change == word_change(second, first)
    assert word_change(first, first) == 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a x c d", 1 / 4),  # a, c, d remain of four
        ("a b c d", "A, B; c d.", 0.0),  # case and punctuation are no wording
        ("a b c d", "c d a b", 2 / 4),  # "a b" or "c d" keeps its order, not both
        ("a b", "a b c d", 2 / 4),  # added words count against the longer text
        ("", "", 0.0),
        ("a", "", 1.0),
    ],
)
def test_change_counted_by_hand(before: str, after: str, expected: float) -> None:
    assert word_change(before, after) == pytest.approx(expected)


def test_a_decimal_is_one_word() -> None:
    assert words("Na 4.1, BP 120/80") == ["na", "4.1", "bp", "120/80"]
