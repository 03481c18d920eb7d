from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.scoring.batches import length_batches, pad_right


@given(lengths=st.lists(st.integers(1, 50), max_size=40), budget=st.integers(1, 120))
def test_every_sequence_once_and_within_budget(lengths: list[int], budget: int) -> None:
    batches = length_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_a_budget_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        length_batches([1], 0)


def test_padding() -> None:
    assert pad_right([np.array([5, 6]), np.array([7])], 9).tolist() == [[5, 6], [7, 9]]
