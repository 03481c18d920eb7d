"""Token statistics from an engine that gives the log-probabilities of whole prompts, such as vLLM.

The engine gets the very token ids that :mod:`mlflow_clinsec.scoring.sweep` would run, cut into the same windows, so
that both score the same tokens behind the same context. What it does not show (mean and standard deviation of the
next-token distribution) stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.sweep import refuse_nan
from mlflow_clinsec.scoring.windows import Window, split_windows
from mlflow_clinsec.targets.protocols import FloatArray, TokenStats

Ask = Callable[[Sequence[NDArray[np.int64]]], Sequence[FloatArray]]
"""Token ids of n prompts -> n arrays of shape (2, n_tokens): log-probability of each token and of the likeliest one in
its place, NaN in the first place, which no model predicts."""

CALL_TOKENS = 2**17
"""Tokens of one call: engines answer with Python objects, of which a million records would fill the memory."""

_Cut = tuple[EncodedPair, Window]


def score_prompts(ask: Ask, pairs: Sequence[EncodedPair], width: int, description: str = "scoring") -> TokenStats:
    """Token statistics of n tokenised texts, in the order given.

    Args:
        ask: the engine.
        pairs: n tokenised texts of any length, with the tokens to score.
        width: tokens of the longest prompt; each scored token of a longer text has half of them before it.
        description: label of the progress bar.

    Raises:
        TargetError: the engine gave log-probabilities that are not numbers.
    """
    offsets = np.concatenate([[0], np.cumsum([int(pair.scored.sum()) for pair in pairs])]).astype(np.int64)
    cuts = [(pair, window) for pair in pairs for window in split_windows(pair.scored, width, max(1, width // 2))]
    found: list[FloatArray] = []
    total = sum(len(window) for _, window in cuts)
    with tqdm(total=total, desc=description, unit="tok", leave=False, disable=None) as bar:
        for call in _calls(cuts):
            rows = ask([pair.input_ids[window.start : window.stop] for pair, window in call])
            found += [row[:, window.scored - window.start] for row, (_, window) in zip(rows, call, strict=True)]
            bar.update(sum(len(window) for _, window in call))
    logp, top = np.concatenate(found, axis=1) if found else np.empty((2, 0))
    refuse_nan(logp, offsets, "vLLM")
    token_ids = np.concatenate([pair.input_ids[pair.scored] for pair in pairs]) if pairs else np.empty(0, int)
    return TokenStats(offsets, logp, token_ids=token_ids.astype(np.int64), top=top)


def _calls(cuts: Sequence[_Cut]) -> Iterator[list[_Cut]]:
    """Windows in their order, some :data:`CALL_TOKENS` at a time."""
    call: list[_Cut] = []
    room = CALL_TOKENS
    for cut in cuts:
        if call and len(cut[1]) > room:
            yield call
            call, room = [], CALL_TOKENS
        call.append(cut)
        room -= len(cut[1])
    if call:
        yield call
