"""What all scorers of tokenised (prompt, response) pairs share, whatever gives the log-probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from mlflow_clinsec.scoring.encode import EncodedPair, Scope, encode_pairs
from mlflow_clinsec.scoring.shots import encode_shots, fitting, put_behind
from mlflow_clinsec.targets.protocols import IntArray, TokenStats


class PairScorer(ABC):
    """A :class:`~mlflow_clinsec.targets.protocols.StorableScorer`, and a
    :class:`~mlflow_clinsec.targets.protocols.ContextScorer`, over a tokeniser; subclasses bring the model.

    Args:
        tokenizer: the model's tokeniser.
        scope: score the response given the prompt, or everything; plain text is always scored whole.
        limit: tokens that the model sees at once; None when it has no limit.
    """

    def __init__(self, tokenizer: Any, scope: Scope, limit: int | None) -> None:
        self._tokenizer = tokenizer
        self._scope = scope
        self._limit = limit

    @abstractmethod
    def _stats(self, pairs: Sequence[EncodedPair]) -> TokenStats:
        """Statistics of the scored tokens; one entry per pair, in the order given."""

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """Statistics of the scored tokens; one entry per pair, in the order given.

        Raises:
            TargetError: the model gave log-probabilities that are not numbers.
        """
        return self._stats(encode_pairs(self._tokenizer, prompts, responses, self._scope))

    def token_ids(self, prompts: Sequence[str], responses: Sequence[str]) -> list[IntArray]:
        """Ids of the scored tokens of each pair."""
        pairs = encode_pairs(self._tokenizer, prompts, responses, self._scope)
        return [pair.input_ids[pair.scored] for pair in pairs]

    def stats_after(
        self, shots: Sequence[tuple[str, str]], prompts: Sequence[str], responses: Sequence[str]
    ) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.ContextScorer`.

        Raises:
            TargetError: the model gave log-probabilities that are not numbers.
        """
        pairs = encode_pairs(self._tokenizer, prompts, responses, self._scope)
        before = fitting(encode_shots(self._tokenizer, shots), pairs, self._limit)
        return self._stats([put_behind(self._tokenizer, before, pair, self._limit) for pair in pairs])
