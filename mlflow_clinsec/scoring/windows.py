"""Overlapping windows over sequences that are longer than a model's context.

Ten tokens through a model that sees four at a time, with at least two tokens of context; ``.`` is context,
``x`` is scored, and position 0 is never scored::

    token     0 1 2 3 4 5 6 7 8 9
    window 1  . x x x
    window 2      . . x x
    window 3          . . x x
    window 4              . . x x

Each scored token is scored exactly once. When only the last tokens are scored (an answer after a long
prompt) the windows start late, and the last window reaches back as far as the model can see::

    window 1              . . x x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Window:
    """Tokens ``start`` to ``stop`` of a sequence, of which those at ``scored`` (sequence positions) count."""

    start: int
    stop: int
    scored: NDArray[np.int64]

    def __len__(self) -> int:
        return self.stop - self.start


def split_windows(scored: NDArray[np.bool_], max_length: int, min_context: int) -> list[Window]:
    """Windows of at most ``max_length`` tokens that together score each marked token once.

    Args:
        scored: shape (n_tokens,), the tokens to score; False at position 0.
        max_length: tokens that the model can see at once.
        min_context: tokens that each scored token has before it at least, as far as the sequence has them.

    Raises:
        ValueError: not ``1 <= min_context < max_length``.
    """
    if not 1 <= min_context < max_length:
        raise ValueError(f"min_context must lie in 1..{max_length - 1}, got {min_context}")
    left = np.flatnonzero(scored)
    end = int(left[-1]) + 1 if left.size else 0
    found = []
    while left.size:
        stop = min(max(0, int(left[0]) - min_context) + max_length, end)
        found.append(Window(max(0, stop - max_length), stop, left[left < stop]))
        left = left[left >= stop]
    return found
