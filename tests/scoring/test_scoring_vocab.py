from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.scoring.vocab import LOWEST_LOGIT, VocabMoments


def reference(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The textbook definition over the whole vocabulary, float64."""
    logits = logits.astype(np.float64)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    weighted = np.where(probabilities > 0, logs, 0.0)
    mean = (probabilities * weighted).sum(axis=1)
    variance = (probabilities * (weighted - mean[:, None]) ** 2).sum(axis=1)
    return np.stack([logs[np.arange(len(targets)), targets], mean, np.sqrt(variance), logs.max(axis=1)])


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 80), scale=st.sampled_from([0.1, 1.0, 8.0, 30.0]))
def test_slices_give_what_the_whole_vocabulary_gives(seed: int, width: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(0, scale, (5, 71)) + rng.normal(0, 50)).astype(np.float32)
    targets = rng.integers(0, 71, 5)
    moments = VocabMoments()
    for start in range(0, 71, width):
        moments.update(torch.as_tensor(logits[:, start : start + width].copy()))
    chosen = torch.as_tensor(logits[np.arange(5), targets])
    np.testing.assert_allclose(moments.result(chosen).numpy(), reference(logits, targets), atol=2e-4)


def test_a_certain_prediction_has_no_spread() -> None:
    moments = VocabMoments()
    moments.update(torch.tensor([[0.0, 200.0, 0.0], [0.0, 200.0, 0.0]]))
    logp, mean, std, top = moments.result(torch.tensor([200.0, 0.0]))
    assert logp.tolist() == [0.0, -200.0]
    assert mean.tolist() == [0.0, 0.0]
    assert std.tolist() == [0.0, 0.0]
    assert top.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("first", [[LOWEST_LOGIT, LOWEST_LOGIT], [1.0, LOWEST_LOGIT]])
def test_words_that_are_ruled_out_count_nothing(first: list[float]) -> None:
    moments = VocabMoments()
    moments.update(torch.tensor([first]))
    moments.update(torch.tensor([[1.0, 1.0]]))
    alike = 3 if first[0] == 1.0 else 2
    logp, mean, std, top = moments.result(torch.tensor([1.0]))[:, 0].tolist()
    assert logp == pytest.approx(-np.log(alike), abs=1e-6)
    assert mean == pytest.approx(-np.log(alike), abs=1e-6)
    assert std == pytest.approx(0.0, abs=1e-3)
    assert top == pytest.approx(logp)
