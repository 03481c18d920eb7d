"""The strongest published scores, written here a second time from their definitions, on plain forward passes.

Nothing of ``mlflow_clinsec.privacy`` or of its sweep is used, so that a fault there would show as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from mlflow_clinsec.scoring.encode import EncodedPair

FloatArray = NDArray[np.float64]

WBC_WINDOWS = (2, 3, 4, 6, 9, 13, 18, 25, 32, 40)
"""The window lengths of the published configuration (arXiv 2601.02751)."""


def losses(model: PreTrainedModel, pair: EncodedPair) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Loss in nats of each scored token of one text alone, and whether it was the likeliest."""
    ids = torch.as_tensor(pair.input_ids)
    with torch.inference_mode():
        law = model(input_ids=ids[None]).logits[0].double().log_softmax(dim=1)
    places = torch.as_tensor(np.flatnonzero(pair.scored))
    chosen = law[places - 1, ids[places]]
    return -chosen.numpy(), (law[places - 1].argmax(dim=1) == ids[places]).numpy()


def reference_difference(target: FloatArray, reference: FloatArray, right: NDArray[np.bool_]) -> float:
    """Carlini 2021 (arXiv 2012.07805): the reference's mean loss minus the target's."""
    return float(reference.mean() - target.mean())


def window_comparison(target: FloatArray, reference: FloatArray, right: NDArray[np.bool_]) -> float:
    """arXiv 2601.02751: share of windows in which the reference loses more, averaged over window lengths."""
    shares = []
    for length in WBC_WINDOWS:
        kernel = np.ones(min(length, len(target)))
        shares.append(np.mean(np.convolve(reference, kernel, "valid") > np.convolve(target, kernel, "valid")))
    return float(np.mean(shares))


def error_zone(target: FloatArray, reference: FloatArray, right: NDArray[np.bool_]) -> float:
    """arXiv 2601.12104: over tokens that the target gets wrong, gain over the reference divided by loss to it."""
    gain = (reference - target)[~right]
    if not gain.size:
        return 0.0
    return float(gain[gain > 0].sum() / (-gain[gain < 0].sum() + 1e-9))


PEERS: Mapping[str, Callable[[FloatArray, FloatArray, NDArray[np.bool_]], float]] = {
    "reference_difference": reference_difference,
    "wbc": window_comparison,
    "ez": error_zone,
}


def peer_scores(target: PreTrainedModel, reference: PreTrainedModel, pairs: list[EncodedPair]) -> dict[str, FloatArray]:
    """Scores of all records by each peer, larger means member, shape (n_records,)."""
    scores: dict[str, list[float]] = {name: [] for name in PEERS}
    for pair in pairs:
        (ours, right), (theirs, _) = losses(target, pair), losses(reference, pair)
        for name, score in PEERS.items():
            scores[name].append(score(ours, theirs, right))
    return {name: np.array(values) for name, values in scores.items()}
