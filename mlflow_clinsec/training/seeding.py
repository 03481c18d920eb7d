"""Seeded blocks that leave the process's random state as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under ``seed``, then restore torch's state on the CPU and on every visible GPU.

    Weight initialisation and dropout only read torch's global generator, so a ``torch.Generator`` cannot be
    handed to them: the state is forked instead.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
