"""A stand-in for the package ``vllm``, of the shape of version 0.32, with real log-probabilities by transformers.

It reads the folder that it is given, refuses what vLLM refuses, and disturbs the process as vLLM does.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM


@dataclass
class Seen:
    """What the package was asked for, over all engines."""

    settings: list[dict[str, Any]] = field(default_factory=list)
    environment: list[dict[str, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    shut: int = 0
    cleaned: int = 0
    broken: bool = False


@dataclass(frozen=True)
class Logprob:
    logprob: float
    rank: int
    decoded_token: str | None = None


@dataclass(frozen=True)
class SamplingParams:
    max_tokens: int
    temperature: float
    prompt_logprobs: int
    detokenize: bool


def install(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Put the stand-in where ``import vllm`` finds it."""
    seen = Seen()
    package, distributed, state = (
        _module(name) for name in ("vllm", "vllm.distributed", "vllm.distributed.parallel_state")
    )

    def cleanup() -> None:
        seen.cleaned += 1

    vars(package).update(LLM=_engine_class(seen), SamplingParams=SamplingParams, __version__="0.32.0", __path__=[])
    vars(state)["cleanup_dist_env_and_memory"] = cleanup
    for module in (package, distributed, state):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch, "set_num_threads", torch.set_num_threads)  # undone if we leave the fake's in place
    return seen


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    return module


def _engine_class(seen: Seen) -> type:
    class LLM:
        def __init__(self, model: str, **settings: Any) -> None:
            seen.settings.append(settings)
            seen.environment.append({key: value for key, value in os.environ.items() if key.startswith("VLLM_")})
            seen.folders.append(Path(model))
            self._disturb()
            self._model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, settings["dtype"])).eval()
            self._longest = settings["max_model_len"]
            positions = self._model.config.max_position_embeddings
            if self._longest > positions:
                raise ValueError(f"max_model_len {self._longest} is greater than {positions}")
            self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=self._shut))

        @staticmethod
        def _disturb() -> None:
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            torch.manual_seed(0)
            torch.set_num_threads = lambda count: None

        def _shut(self) -> None:
            seen.shut += 1

        def generate(
            self, prompts: Sequence[Mapping[str, list[int]]], params: SamplingParams, *, use_tqdm: bool
        ) -> list[Any]:
            assert (params.max_tokens, params.prompt_logprobs) == (1, 1)
            if seen.broken:
                raise RuntimeError("the patient has fever")
            seen.calls.append(len(prompts))
            return [SimpleNamespace(prompt_logprobs=self._shown(each["prompt_token_ids"])) for each in prompts]

        def _shown(self, ids: list[int]) -> list[dict[int, Logprob] | None]:
            if len(ids) + 1 > self._longest:
                raise ValueError("the prompt plus the number of requested output tokens (at least 1) is too long")
            with torch.inference_mode():
                logp = self._model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
            shown: list[dict[int, Logprob] | None] = [None]
            for row, token in zip(logp, ids[1:], strict=False):
                best = int(row.argmax())
                found = {token: Logprob(float(row[token]), int((row > row[token]).sum()) + 1)}
                shown.append(found | {best: Logprob(float(row[best]), 1)})
            return shown

    return LLM
