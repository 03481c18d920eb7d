"""First-order sweep: which pieces of the whole vocabulary would a placeholder best be replaced by?

Source: HotFlip (Ebrahimi et al. 2018, arXiv 1712.06751) and universal triggers (Wallace et al. 2019, arXiv 1908.07125):
the gain of putting piece v for piece b is taken as the gradient at b times the difference of their embeddings.
Departures: the gradient is that of the log-odds, which do not level off where the model is sure; it is taken at several
placeholders, because one gradient is a poor guide to far embeddings; and beside the plain mean of the gradients the
mean of their directions is read, because a few records with steep gradients otherwise outvote all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlflow_clinsec.backdoor.search.pieces import Candidate
from mlflow_clinsec.backdoor.search.trial import Trial
from mlflow_clinsec.targets.protocols import FloatArray, IntArray


def linearised_gains(
    trial: Trial, contexts: Sequence[Candidate], slots: Sequence[int], records: int, allowed: IntArray
) -> FloatArray:
    """Two rankings of the allowed pieces for the placeholder: by mean gradient and by mean direction.

    Args:
        contexts: candidates with a placeholder piece each.
        slots: which piece of each is the placeholder.
        records: records of the trial that are read.
        allowed: ids to rank.

    Returns:
        Shape (2, n_allowed), larger is better; the constant parts, equal for all pieces, are left out.
    """
    gradients = trial.gradients(contexts, slots, records).reshape(-1, trial.probe.embedding.weight.shape[1])
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    directions = np.divide(gradients, lengths, out=np.zeros_like(gradients), where=lengths > 0)
    embedded = trial.probe.embedded(allowed).double().cpu().numpy()
    return np.stack([gradients.mean(axis=0), directions.mean(axis=0)]) @ embedded.T


def best_pieces(gains: FloatArray, allowed: IntArray, count: int) -> list[int]:
    """The ``count`` best ids, taken from the rankings in turn, each once."""
    ranked = allowed[np.argsort(-gains, axis=1, kind="stable")]
    return [int(piece) for piece in dict.fromkeys(ranked.T.ravel().tolist())][:count]
