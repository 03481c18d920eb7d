"""vLLM engines in this process: what they change of it is put back, and they go together.

An engine could run in a process of its own, as vLLM's do by default. It would then batch prompts as they happen to
arrive, so that the last bits of a score would change from run to run.
"""

from __future__ import annotations

import gc
import os
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

LOCK = threading.RLock()
"""Held while an engine starts, answers or ends: vLLM keeps its state in globals, and audits may run side by side."""

SWITCHES = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",  # vLLM does not heed the word that other libraries take for DO_NOT_TRACK
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""Environment while an engine starts: in this process, sending nothing, telling only errors."""

_OPEN: set[int] = set()
_ENDED: list[Any] = []


@contextmanager
def starting() -> Iterator[None]:
    """Everything that vLLM sets in the process while an engine starts is put back: random states, ``SWITCHES``, and
    the function ``torch.set_num_threads``, which its CPU build replaces by one that does nothing."""
    with LOCK:  # from before the first state is read: another engine's start would be taken for what was there
        python, set_threads = random.getstate(), torch.set_num_threads
        numpy = np.random.get_state()  # noqa: NPY002 - the very state that vLLM seeds
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # asking wakes every card
        with _environment(SWITCHES), torch.random.fork_rng(devices=gpus):
            try:
                yield
            finally:
                random.setstate(python)
                np.random.set_state(numpy)  # noqa: NPY002
                torch.set_num_threads = set_threads


def opened(llm: Any) -> None:
    """Count an engine that was started."""
    _OPEN.add(id(llm))


def ended(llm: Any) -> None:
    """Free the engines once none is in use: ending one takes the process groups from under the others."""
    with LOCK:
        _OPEN.discard(id(llm))
        _ENDED.append(llm)
        if _OPEN:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        for each in _ENDED:
            each.llm_engine.engine_core.shutdown()
        _ENDED.clear()
        gc.collect()
        cleanup_dist_env_and_memory()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
