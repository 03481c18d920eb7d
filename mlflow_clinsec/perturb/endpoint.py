"""Rewrites by a chat-completions endpoint: the only engine that sends text away, and only to a host that is named.

Works with OpenAI-compatible servers (vLLM, llama.cpp, ...) and with MLflow's gateway. What comes back is not trusted:
its size is bounded, redirects are refused, and its text is judged by the gate as any other.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

import numpy as np

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.egress import host_of, refuse_egress
from mlflow_clinsec.perturb.exchange import ChatClient, Clock
from mlflow_clinsec.perturb.instructions import instruction_or_default
from mlflow_clinsec.perturb.options import EndpointOptions
from mlflow_clinsec.perturb.pieces import rewrite_by_pieces

logger = logging.getLogger(__name__)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKENS_PER_CHARACTER = 0.5
_LEAST_TOKENS, _MOST_TOKENS = 128, 8192


class EndpointEngine:
    """One request per piece and rewrite, each with a seed of its own.

    Args:
        options: the address and how it is asked.
        allow_egress: hosts that text may be sent to.
        wait, now: for tests.

    Raises:
        ConfigError: the host is not named, or the environment variable of the key is not set.
    """

    name = "endpoint"

    def __init__(
        self,
        options: EndpointOptions,
        allow_egress: tuple[str, ...],
        *,
        wait: Callable[[float], None] = sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        refuse_egress(options.url, "paraphrase.endpoint.url", allow_egress)
        if options.url.startswith("http:") and host_of(options.url, "") not in _LOOPBACK:
            logger.warning("clinsec: paraphrase.endpoint.url is not https: records travel unencrypted")
        self._options = options
        self._instruction = instruction_or_default(options.instruction)
        self._client = ChatClient(options, _key(options.api_key_env), Clock(wait, now))

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        given = asdict(self._options)
        return {name: given[name] for name in ("url", "model", "temperature", "piece_words")} | {
            "instruction": self._instruction
        }

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        if not text.strip():
            return []

        def ask(piece: str) -> list[str]:
            seeds = rng.integers(2**31, size=count)
            return [self._client.ask(self._request(piece, int(seed))) for seed in seeds]

        return rewrite_by_pieces(text, count, self._options.piece_words, ask)

    def _request(self, text: str, seed: int) -> dict[str, Any]:
        told = [{"role": "system", "content": self._instruction}] if self._instruction else []
        room = min(max(int(len(text) * _TOKENS_PER_CHARACTER), _LEAST_TOKENS), _MOST_TOKENS)
        named = {"model": self._options.model} if self._options.model else {}
        return {
            "messages": [*told, {"role": "user", "content": text}],
            "temperature": self._options.temperature,
            "max_tokens": room,
            "seed": seed,
            **named,
        }


def _key(variable: str | None) -> str | None:
    """The key from the environment.

    Raises:
        ConfigError: the variable is not set.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"paraphrase.endpoint.api_key_env: the environment variable {variable!r} is not set.")
    return key
