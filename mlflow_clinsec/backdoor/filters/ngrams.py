"""A word n-gram language model with backoff, for when no causal language model is at hand.

Interpolated Witten-Bell smoothing (Witten & Bell 1991): a context h that was seen c times, before t different words,
gives P(w | h) = (c(h, w) + t P(w | h')) / (c + t), with h' one word shorter and, at the end, an even share for every
word of the vocabulary and for one unknown word. Words are lower-cased, their outer punctuation is dropped and digits
become 0, so that numbers and dates share their statistics.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.targets.protocols import FloatArray

ORDER = 3
_START, _UNKNOWN = "\x02", "\x00"


def plain(word: str) -> str:
    """The form under which a word is counted."""
    return re.sub(r"\d", "0", word.lower()).strip(".,;:!?()[]{}\"'") or word


@dataclass(frozen=True)
class NgramModel:
    """Counts of word sequences up to ``order`` words; see the module.

    Attributes:
        followers: context, of 0 to order - 1 words -> the words that followed it, with counts.
        totals: context -> their sum.
    """

    followers: dict[tuple[str, ...], Counter[str]] = field(repr=False)
    totals: dict[tuple[str, ...], int] = field(repr=False)
    order: int = ORDER

    @classmethod
    def fit(cls, texts: Iterable[Sequence[str]], order: int = ORDER) -> NgramModel:
        """Count texts, each given as its words."""
        followers: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words in texts:
            padded = [*[_START] * (order - 1), *map(plain, words)]
            for i in range(order - 1, len(padded)):
                for length in range(order):
                    followers[tuple(padded[i - length : i])][padded[i]] += 1
        return cls(dict(followers), {context: sum(words.values()) for context, words in followers.items()}, order)

    @property
    def vocabulary(self) -> Counter[str]:
        """Every word that was counted."""
        return self.followers.get((), Counter())

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        """P(word | context); the context holds at most order - 1 words, the last one next to the word."""
        known = word if word in self.vocabulary else _UNKNOWN
        found = 1 / (len(self.vocabulary) + 1)
        for length in range(len(context) + 1):
            own = context[len(context) - length :]
            if own in self.followers:
                kinds = len(self.followers[own])
                found = (self.followers[own][known] + kinds * found) / (self.totals[own] + kinds)
        return found

    def surprisal(self, words: Sequence[str], place: int) -> float:
        """-log P of the word at ``place`` in nats. ``words`` start with order - 1 marks of the beginning."""
        return -math.log(self.probability(words[place], tuple(words[place - self.order + 1 : place])))

    def perplexities(self, words: Sequence[str]) -> tuple[float, FloatArray]:
        """Perplexity of a text, and of the same text without each of its words, shape (n_words,).

        Only the words right behind a gap change their probability, so that this takes one pass. NaN without a word.
        """
        ahead = self.order - 1
        padded = [*[_START] * ahead, *map(plain, words)]
        own = np.array([self.surprisal(padded, i) for i in range(ahead, len(padded))])
        without = np.array(
            [own.sum() - own[i : i + self.order].sum() + self._behind(padded, i) for i in range(len(own))]
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            whole = float(np.exp(own.sum() / np.float64(len(own))))
            return whole, np.asarray(np.exp(without / np.float64(len(own) - 1)))

    def _behind(self, padded: Sequence[str], gap: int) -> float:
        """Surprisal of the order - 1 words behind the one at ``gap`` (counted without the marks), once it is gone."""
        ahead = self.order - 1
        near = [*padded[gap : gap + ahead], *padded[gap + self.order : gap + self.order + ahead]]
        return sum(self.surprisal(near, i) for i in range(ahead, len(near)))
