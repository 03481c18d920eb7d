"""Statistics over the vocabulary axis, a slice of logits at a time.

With logits z, log-probabilities are ``log p = z - logsumexp(z)``. Min-K%++ (Zhang 2025, arXiv 2404.02936,
section 4) needs their mean and standard deviation *under the model's own next-token distribution*: ``mean =
E_p[log p]`` and ``std = sqrt(Var_p[z])``, since the two differ by a constant. All three follow from the sums
of ``e``, ``e d`` and ``e d^2`` with ``d = z - max z`` and ``e = exp(d)``, which each slice gives on its own and
which are put together at the end: a vocabulary of 128k words never stands whole in float32.
"""

from __future__ import annotations

import torch

LOWEST_LOGIT = -1e4
"""Stands for a logit of minus infinity: exp() of it is 0, and products with it stay finite."""


class VocabMoments:
    """Log-sum-exp and first two moments of n rows of logits, gathered slice by slice. Rows are independent."""

    def __init__(self) -> None:
        self._slices: list[torch.Tensor] = []

    def update(self, logits: torch.Tensor) -> None:
        """Take in the next slice of the vocabulary, float32, shape (n, width); it is used as scratch.

        Each slice is measured from its own peak. Nothing is carried from slice to slice, so that the work on a
        slice is these few passes while it lies in the processor's cache.
        """
        peak = logits.amax(dim=1)
        shifted = logits.sub_(peak[:, None])
        weight = shifted.exp()
        total = weight.sum(dim=1)
        first = weight.mul_(shifted).sum(dim=1)
        second = weight.mul_(shifted).sum(dim=1)
        self._slices.append(torch.stack([peak, total, first, second]))

    def result(self, target: torch.Tensor) -> torch.Tensor:
        """Log-probability of the target, mean, standard deviation and maximum of log p, shape (4, n), nats.

        Args:
            target: shape (n,), each row's logit of the token whose log-probability is asked for.
        """
        peak, total, first, second = self._from_one_peak()
        mean_shifted = first / total
        log_total = total.log()
        variance = (second / total - mean_shifted**2).clamp(min=0)
        logp = target - peak - log_total
        return torch.stack([logp.clamp(max=0), mean_shifted - log_total, variance.sqrt(), -log_total.clamp(min=0)])

    def _from_one_peak(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Peak and sums over all slices: measured from the highest peak, each slice's d is lower by ``rise``."""
        peaks, totals, firsts, seconds = torch.stack(self._slices, dim=1)
        peak = peaks.amax(dim=0)
        rise = peak - peaks
        share = torch.exp(-rise)
        total = (share * totals).sum(dim=0)
        first = (share * (firsts - rise * totals)).sum(dim=0)
        second = (share * (seconds - 2 * rise * firsts + rise**2 * totals)).sum(dim=0)
        return peak, total, first, second
