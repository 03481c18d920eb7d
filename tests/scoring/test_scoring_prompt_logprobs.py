from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring import prompt_logprobs
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.prompt_logprobs import score_prompts
from mlflow_clinsec.scoring.sweep import sweep


def ask(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """An engine whose answers can be told by hand: minus the token's id, minus the number of tokens before it."""
    return [np.stack([-row.astype(float), -np.arange(len(row), dtype=float)]) for row in rows]


def pair(ids: Sequence[int], scored: Sequence[int]) -> EncodedPair:
    marks = np.zeros(len(ids), dtype=bool)
    marks[list(scored)] = True
    return EncodedPair(np.array(ids, dtype=np.int64), marks)


def test_the_scored_tokens_in_their_order() -> None:
    stats = score_prompts(ask, [pair([7, 8, 9], [1, 2]), pair([5], []), pair([1, 2, 3, 4], [3])], width=8)
    np.testing.assert_array_equal(stats.offsets, [0, 2, 2, 3])
    np.testing.assert_array_equal(stats.logp, [-8, -9, -4])
    np.testing.assert_array_equal(stats.top, [-1, -2, -3])
    assert stats.token_ids is not None
    assert stats.token_ids.tolist() == [8, 9, 4]
    assert stats.mean is None
    assert stats.std is None


def test_windows_of_a_long_text() -> None:
    """Ten tokens, four at a time: the picture in :mod:`mlflow_clinsec.scoring.windows`, places counted per window."""
    stats = score_prompts(ask, [pair(range(10), range(1, 10))], width=4)
    np.testing.assert_array_equal(stats.logp, -np.arange(1, 10))
    np.testing.assert_array_equal(stats.top, [-1, -2, -3, -2, -3, -2, -3, -2, -3])


def test_nothing_to_score() -> None:
    assert len(score_prompts(ask, [], width=4)) == 0
    np.testing.assert_array_equal(score_prompts(ask, [pair([3], []), pair([4, 5], [])], width=4).counts, [0, 0])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 30))
def test_calls_keep_order_and_size(lengths: list[int], most: int) -> None:
    sizes: list[int] = []

    def counted(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        sizes.append(sum(map(len, rows)))
        assert len(rows) == 1 or sizes[-1] <= most
        return ask(rows)

    pairs = [pair(range(10 * i, 10 * i + n + 1), range(1, n + 1)) for i, n in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_logprobs, "CALL_TOKENS", most)
        stats = score_prompts(counted, pairs, width=16)
    assert sum(sizes) == sum(lengths) + len(lengths)
    assert stats.token_ids is not None
    np.testing.assert_array_equal(stats.logp, -stats.token_ids.astype(float))


def test_a_number_that_is_none() -> None:
    def broken(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.full((2, len(row)), np.nan if len(row) == 3 else -1.0) for row in rows]

    with pytest.raises(TargetError, match="not numbers for 1 of 3 texts"):
        score_prompts(broken, [pair([1, 2], [1]), pair([3], []), pair([4, 5, 6], [1, 2])], width=4)


@pytest.mark.parametrize("width", [63, 12, 5])
def test_the_same_as_the_sweep(width: int) -> None:
    """Whole texts and windows, answers and plain texts, against our own forward passes."""
    model = tiny.tiny_gpt2()

    def forward(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [_logprobs(model, row) for row in rows]

    rng = np.random.default_rng(0)
    pairs = [pair(rng.integers(4, 25, n).tolist(), range(first, n)) for n, first in ((9, 1), (40, 1), (30, 21), (2, 1))]
    found, expected = score_prompts(forward, pairs, width), sweep(model, pairs, max_length=width)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.token_ids, expected.token_ids)
    np.testing.assert_allclose(found.logp, expected.logp, atol=1e-4)
    np.testing.assert_allclose(found.top, expected.top, atol=1e-4)


def _logprobs(model: torch.nn.Module, row: np.ndarray) -> np.ndarray:
    """Log-probability of each token and of the likeliest, NaN in the first place."""
    with torch.inference_mode():
        logp = model(torch.as_tensor(row)[None]).logits[0, :-1].log_softmax(-1).double().numpy()
    return np.pad([logp[np.arange(len(row) - 1), row[1:]], logp.max(-1)], ((0, 0), (1, 0)), constant_values=np.nan)
