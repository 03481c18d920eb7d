"""Statistics over the vocabulary axis, a slice of logits at a time.

With logits z, log-probabilities are ``log p = z - logsumexp(z)``. Min-K%++ (Zhang 2025, arXiv 2404.02936,
section 4) needs their mean and standard deviation *under the model's own next-token distribution*: ``mean =
E_p[log p]`` and ``std = sqrt(Var_p[z])``, since the two differ by a constant. All three follow from the sums
of ``e``, ``e d`` and ``e d^2`` with ``d = z - max z`` and ``e = exp(d)``, which can be kept up while slices
arrive: a vocabulary of 128k words never stands whole in float32.
"""

from __future__ import annotations

import torch

LOWEST_LOGIT = -1e4
"""Stands for a logit of minus infinity: exp() of it is 0, and products with it stay finite."""


class VocabMoments:
    """Running log-sum-exp and first two moments of n rows of logits. Rows are independent of each other."""

    def __init__(self, targets: torch.Tensor) -> None:
        """``targets``: shape (n,), the vocabulary index whose log-probability is asked for in each row."""
        self._targets = targets
        self._logit = torch.zeros(len(targets), device=targets.device)
        self._peak = torch.full_like(self._logit, LOWEST_LOGIT)
        self._sums = torch.zeros(3, len(targets), device=targets.device)
        self._seen = 0

    def update(self, logits: torch.Tensor) -> None:
        """Take in the next slice of the vocabulary, float32, shape (n, width); it is used as scratch."""
        place = self._targets - self._seen
        inside = (place >= 0) & (place < logits.shape[1])
        chosen = logits.gather(1, place.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
        self._logit = torch.where(inside, chosen, self._logit)
        peak = torch.maximum(self._peak, logits.amax(dim=1))
        self._move_peak(peak)
        shifted = logits.sub_(peak[:, None])
        weight = shifted.exp()
        self._sums[0] += weight.sum(dim=1)
        self._sums[1] += weight.mul_(shifted).sum(dim=1)
        self._sums[2] += weight.mul_(shifted).sum(dim=1)
        self._seen += logits.shape[1]

    def _move_peak(self, peak: torch.Tensor) -> None:
        """Express the sums so far relative to a new, higher peak: d becomes d - rise."""
        rise = peak - self._peak
        zeroth, first, second = self._sums
        moved = torch.stack([zeroth, first - rise * zeroth, second - 2 * rise * first + rise**2 * zeroth])
        self._sums = torch.exp(-rise) * moved
        self._peak = peak

    def result(self) -> torch.Tensor:
        """Rows: log-probability of the target, mean and standard deviation of log p, shape (3, n), nats."""
        total, first, second = self._sums
        mean_shifted = first / total
        log_total = total.log()
        variance = (second / total - mean_shifted**2).clamp(min=0)
        logp = self._logit - self._peak - log_total
        return torch.stack([logp.clamp(max=0), mean_shifted - log_total, variance.sqrt()])
