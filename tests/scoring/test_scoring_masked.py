"""Hiding words: which pieces, how windows are cut, and where special tokens stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masked_models import mask_tokenizer
from tiny_models import byte_pair_tokenizer, word_tokenizer

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.masked import _rows, hide, special_tokens

# "febrile" of two pieces between "no" and "pain": characters 0-2, 3-6 and 6-10, 11-15
IDS = np.array([10, 25, 26, 11])
OFFSETS = [(0, 2), (3, 6), (6, 10), (11, 15)]
MASK = 99


def test_every_piece_of_a_word_is_masked() -> None:
    hidden = hide(IDS, OFFSETS, [(3, 10), (11, 15)], MASK)
    assert hidden.ids.tolist() == [10, MASK, MASK, MASK]
    assert (hidden.places.tolist(), hidden.truth.tolist(), hidden.span.tolist()) == ([1, 2, 3], [25, 26, 11], [0, 0, 1])


def test_one_mask_may_stand_for_a_word() -> None:
    hidden = hide(IDS, OFFSETS, [(3, 10), (11, 15)], MASK, whole_words=True)
    assert hidden.ids.tolist() == [10, MASK, MASK]
    assert (hidden.places.tolist(), hidden.span.tolist()) == ([1, 2], [0, 1])


def test_nothing_to_hide() -> None:
    assert hide(IDS, OFFSETS, [], MASK).places.size == 0
    assert hide(np.empty(0, dtype=np.int64), [], [(0, 3)], MASK).ids.size == 0


def test_special_tokens_stand_around_the_text() -> None:
    before, after = special_tokens(mask_tokenizer())
    assert (before.tolist(), after.tolist()) == ([2], [3])
    before, after = special_tokens(byte_pair_tokenizer())
    assert (before.tolist(), after.tolist()) == ([0], [2])
    before, after = special_tokens(word_tokenizer())
    assert (before.size, after.size) == (0, 0)


def test_a_tokeniser_that_adds_other_things_is_refused() -> None:
    class Reversing:
        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            return {"input_ids": [2, 1] if add_special_tokens else [1, 2]}

    with pytest.raises(TargetError, match="special tokens"):
        special_tokens(Reversing())


@given(st.integers(1, 40), st.integers(3, 12), st.data())
def test_each_mask_runs_once_and_knows_its_place(size: int, limit: int, data: st.DataObject) -> None:
    ids = np.arange(100, 100 + size)
    offsets = [(2 * i, 2 * i + 1) for i in range(size)]
    hidden_words = data.draw(st.sets(st.integers(0, size - 1)))
    hidden = hide(ids, offsets, [offsets[i] for i in sorted(hidden_words)], MASK)
    rows = list(_rows([hidden, hidden], np.array([2]), np.array([3]), limit))
    assert sorted(np.concatenate([row.masks for row in rows] or [[]])) == list(range(2 * len(hidden_words)))
    for row in rows:
        assert len(row.ids) <= limit
        assert (row.ids[0], row.ids[-1]) == (2, 3)
        assert (row.ids[row.places] == MASK).all()
        assert (row.ids == MASK).sum() == len(row.places)
