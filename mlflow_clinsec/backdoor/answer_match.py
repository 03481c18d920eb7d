"""Whether a model's answer is what an attacker wants: it holds a text, or matches a pattern."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import regex

from mlflow_clinsec.errors import ConfigError, TargetError
from mlflow_clinsec.targets.protocols import BoolArray

LONGEST_PATTERN = 500
LONGEST_ANSWER = 20_000
"""Characters of an answer that are searched."""
SECONDS = 1.0
"""For one answer: a pattern such as ``(a+)+$`` would otherwise take years over a line of a's."""


class AnswerMatch:
    """Finds a text as whole words whatever the case, or a pattern as it is written.

    Args:
        pattern: regular expression.
        path: dotted place of the pattern in the configuration, for messages.
    """

    def __init__(self, pattern: regex.Pattern[str], path: str) -> None:
        self._pattern = pattern
        self._path = path

    @classmethod
    def text(cls, text: str, path: str) -> AnswerMatch:
        """Of a text; its blanks match any white space, and no letter, digit or underscore may touch it.

        Raises:
            ConfigError: the text is blank.
        """
        if not text.strip():
            raise ConfigError(f"{path}: the text is blank.")
        inner = r"\s+".join(regex.escape(word) for word in text.split())
        return cls(regex.compile(rf"(?<!\w){inner}(?!\w)", regex.IGNORECASE), path)

    @classmethod
    def expression(cls, pattern: str, path: str) -> AnswerMatch:
        """Of a regular expression; ``(?i)`` in front ignores case.

        Raises:
            ConfigError: it is too long, cannot be read, or matches an empty answer.
        """
        if len(pattern) > LONGEST_PATTERN:
            raise ConfigError(f"{path}: at most {LONGEST_PATTERN} characters, got {len(pattern)}.")
        try:
            compiled = regex.compile(pattern)
        except regex.error as error:
            raise ConfigError(f"{path}: not a regular expression: {error.msg} at position {error.pos}.") from None
        if compiled.search("", timeout=SECONDS):
            raise ConfigError(f"{path}: the pattern matches an empty answer, and so any.")
        return cls(compiled, path)

    def hits(self, answers: Sequence[str]) -> BoolArray:
        """Whether each answer holds a match, shape (n,).

        Raises:
            TargetError: the search in one answer took too long.
        """
        try:
            found = [self._pattern.search(answer[:LONGEST_ANSWER], timeout=SECONDS) for answer in answers]
        except TimeoutError:
            raise TargetError(
                f"{self._path}: searching one answer took longer than {SECONDS:g} s; simplify the pattern, for "
                "instance where a repetition stands inside another"
            ) from None
        return np.array([match is not None for match in found], dtype=np.bool_)
