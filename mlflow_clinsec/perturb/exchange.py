"""Asking an endpoint with patience: rate limit, time-out, retries with back-off, bounded answers."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from mlflow_clinsec.errors import EngineError
from mlflow_clinsec.perturb.options import EndpointOptions

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 2_000_000
_CHUNK = 65_536
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_PASSING = frozenset({408, 425, 429})


class Clock(NamedTuple):
    """How to wait some seconds, and what time it is in seconds."""

    wait: Callable[[float], None]
    now: Callable[[], float]


class _TryAgainError(Exception):
    """An answer that may be another one next time; ``after`` is how long the server asks to wait, in seconds."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class ChatClient:
    """Posts chat requests, one at a time. Nothing that is sent or received reaches a log or an exception."""

    def __init__(self, options: EndpointOptions, key: str | None, clock: Clock) -> None:
        import requests

        self._options = options
        self._clock = clock
        self._next_start = 0.0
        self._session = requests.Session()
        # A proxy or a .netrc of the machine would be another receiver, or another key, than the one named.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        if key is not None:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def ask(self, request: dict[str, Any]) -> str:
        """The text of the first answer; "" when the endpoint gave none (as a content filter does).

        Raises:
            EngineError: refused for good, or still failing after all tries.
        """
        tries = self._options.retries + 1
        for attempt in range(tries):
            self._keep_rate()
            try:
                return read_answer(self._post(request))
            except _TryAgainError as error:
                why, asked = str(error), error.after
            if attempt + 1 < tries:
                pause = min(max(asked, _FIRST_WAIT * 2**attempt), _LONGEST_WAIT)
                logger.info("clinsec: paraphrase endpoint: %s; trying again in %.0f s", why, pause)
                self._clock.wait(pause)
        raise EngineError(
            f"paraphrase.endpoint: no answer after {tries} tries; the last: {why}. "
            "With paraphrase.cache set, the next audit goes on from here."
        )

    def _keep_rate(self) -> None:
        """Wait until the next request may start."""
        early = self._next_start - self._clock.now()
        if early > 0:
            self._clock.wait(early)
        self._next_start = self._clock.now() + 60.0 / self._options.requests_per_minute

    def _post(self, request: dict[str, Any]) -> bytes:
        """The body of a good answer."""
        import requests

        limit = self._options.timeout
        start = self._clock.now()
        try:
            with self._session.post(
                self._options.url, json=request, timeout=limit, allow_redirects=False, stream=True
            ) as answer:
                _check_status(answer.status_code, answer.headers.get("Retry-After", ""))
                body = b""
                for chunk in answer.iter_content(_CHUNK):
                    body += chunk
                    if self._clock.now() - start > limit:  # a server that drips never trips the time-out by itself
                        raise _TryAgainError(f"no complete answer within {limit:g} s")
                    if len(body) > MAX_ANSWER_BYTES:
                        raise _TryAgainError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
                return body
        except requests.Timeout:
            raise _TryAgainError(f"no answer within {limit:g} s") from None
        except requests.RequestException as error:  # its message may quote what was sent
            raise _TryAgainError(type(error).__name__) from None


def _check_status(status: int, retry_after: str) -> None:
    """Sort answers into good ones, those to ask for again, and those that asking again will not change."""
    if status == 200:
        return
    if status in _PASSING or status >= 500:
        raise _TryAgainError(f"HTTP status {status}", float(retry_after) if retry_after.isdecimal() else 0.0)
    if 300 <= status < 400:
        raise EngineError(f"paraphrase.endpoint: HTTP status {status}: redirects are refused, they may leave the host")
    raise EngineError(f"paraphrase.endpoint: HTTP status {status}: the request was refused")


def read_answer(body: bytes) -> str:
    """The text of the first choice of a chat completion.

    Raises:
        _TryAgainError: it is none.
    """
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _TryAgainError("an answer that is no chat completion") from None
    return content.strip() if isinstance(content, str) else ""
