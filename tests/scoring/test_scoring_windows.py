from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.scoring.windows import split_windows


@given(data=st.data(), n=st.integers(1, 60), max_length=st.integers(2, 20))
def test_each_scored_token_once_with_enough_context(data: st.DataObject, n: int, max_length: int) -> None:
    marks = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    scored = np.array([False, *marks[1:]])
    context = data.draw(st.integers(1, max_length - 1))
    windows = split_windows(scored, max_length, context)
    places = [place for window in windows for place in window.scored.tolist()]
    assert places == np.flatnonzero(scored).tolist()
    for window in windows:
        assert 0 <= window.start < window.stop <= n
        assert len(window) <= max_length
        for place in window.scored.tolist():
            assert place < window.stop
            assert place - window.start >= min(place, context)
    if n <= max_length:
        assert len(windows) == int(scored.any())
        assert all(window.start == 0 for window in windows)


def test_the_drawing_in_the_docstring() -> None:
    scored = np.arange(10) > 0
    windows = split_windows(scored, max_length=4, min_context=2)
    assert [(w.start, w.stop, w.scored.tolist()) for w in windows] == [
        (0, 4, [1, 2, 3]),
        (2, 6, [4, 5]),
        (4, 8, [6, 7]),
        (6, 10, [8, 9]),
    ]
    [late] = split_windows(np.arange(10) > 7, max_length=4, min_context=2)
    assert (late.start, late.stop, late.scored.tolist()) == (6, 10, [8, 9])


def test_an_answer_at_the_end_sees_as_much_prompt_as_fits() -> None:
    [window] = split_windows(np.arange(100) >= 95, max_length=30, min_context=4)
    assert (window.start, window.stop) == (70, 100)


@pytest.mark.parametrize("context", [0, 4, 9])
def test_impossible_contexts_are_refused(context: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.3"):
        split_windows(np.array([False, True]), max_length=4, min_context=context)
