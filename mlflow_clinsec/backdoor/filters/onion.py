"""ONION: take out the words without which a text reads better.

Source: Qi et al. 2021 (arXiv 2011.10369). The suspicion of a word is f = p0 - p, with p0 the perplexity of the text
under a language model and p its perplexity without the word; words above a threshold are taken out, and the model is
asked about what is left.

Departures: the paper asks GPT-2. Here it is the causal language model that ``backdoor.language_model`` names; without
one, a word n-gram model fitted on held-out clean records, which needs no download and knows the house's own shorthand.
The threshold is the one that takes out no more than the given share of the words of other clean records. The least
suspicious word always stays, so that no text becomes empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mlflow_clinsec.backdoor.filters.base import Filter, Material, Prepared, Sifted, Spans, threshold_for
from mlflow_clinsec.backdoor.filters.ngrams import NgramModel
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, Span, TokenScorer

_WORD = re.compile(r"\S+")


class Perplexities(Protocol):
    """A language model, as far as ONION needs it."""

    def perplexities(self, words: Sequence[str]) -> tuple[float, FloatArray]:
        """Perplexity of the text, and of the text without each word, shape (n_words,)."""
        ...


@dataclass(frozen=True)
class ScorerPerplexities:
    """A causal language model: one forward pass for each word of a text."""

    scorer: TokenScorer

    def perplexities(self, words: Sequence[str]) -> tuple[float, FloatArray]:
        """See :class:`Perplexities`."""
        texts = [" ".join(words), *(" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words)))]
        found = np.exp(self.scorer.token_stats([""] * len(texts), texts).nll())
        return float(found[0]), found[1:]


@dataclass(frozen=True)
class Onion:
    """ONION with its threshold set; see the module."""

    model: Perplexities
    threshold: float = math.inf

    def sift(self, texts: Sequence[str], spans: Spans) -> Sifted:
        """Take the suspicious words out of each text. A text's score is that of its most suspicious word."""
        words = [word_spans(text) for text in texts]
        found = [self.suspicions(text) for text in texts]
        flags = [outliers(values, self.threshold) for values in found]
        parts = list(zip(texts, words, flags, strict=True))
        return Sifted(
            score=np.array([values.max(initial=-math.inf) for values in found]),
            stopped=np.zeros(len(texts), dtype=np.bool_),
            texts=tuple(without(text, own, flagged) for text, own, flagged in parts),
            caught=np.array([_gone(s, own, flagged) for s, (_, own, flagged) in zip(spans, parts, strict=True)], bool),
            rejected=np.concatenate([np.empty(0, bool), *flags]),
            unit_row=np.repeat(np.arange(len(texts)), [len(own) for own in words]),
        )

    def suspicions(self, text: str) -> FloatArray:
        """f of each word, shape (n_words,). The only word of a text is not suspicious."""
        words = [text[start:stop] for start, stop in word_spans(text)]
        if len(words) < 2:
            return np.full(len(words), -math.inf)
        whole, parts = self.model.perplexities(words)
        return whole - parts


def prepare(material: Material, rng: np.random.Generator) -> list[Prepared]:
    """ONION for all target labels at once: it never asks the suspected model. Nothing is drawn.

    Raises:
        NotApplicableError: no text to set a threshold on has two words.
    """
    helper = material.target.language_model
    model: Perplexities = (
        NgramModel.fit(map(str.split, material.learn)) if helper is None else ScorerPerplexities(helper)
    )
    scores = np.concatenate([np.empty(0), *map(Onion(model).suspicions, material.calibrate)])
    if not np.isfinite(scores).any():
        raise NotApplicableError("needs clean records of two or more words to set its threshold on")
    threshold = threshold_for(scores, material.options.false_rejection_rate)
    return [Prepared(tuple(range(len(material.decider.goals))), Onion(model, threshold))]


def word_spans(text: str) -> list[Span]:
    """Character range of each word; words are what white space separates."""
    return [match.span() for match in _WORD.finditer(text)]


def outliers(suspicions: FloatArray, threshold: float) -> BoolArray:
    """The words to take out, shape (n_words,): those above the threshold, but never all."""
    flagged = suspicions > threshold
    if flagged.size and flagged.all():
        flagged[suspicions.argmin()] = False
    return np.asarray(flagged)


def without(text: str, words: Sequence[Span], flagged: BoolArray) -> str:
    """The text without the flagged words; what is left keeps the white space before it."""
    starts = [0, *(stop for _, stop in words)]
    kept = (text[start:stop] for start, (_, stop), out in zip(starts, words, flagged, strict=False) if not out)
    return "".join(kept).strip()


def _gone(spans: Sequence[Span], words: Sequence[Span], flagged: BoolArray) -> bool:
    """Whether there was a trigger, and every word that holds a part of it was taken out."""
    inside = [any(max(start, a) < min(stop, b) for a, b in spans) for start, stop in words]
    return any(inside) and bool(flagged[np.array(inside)].all())


ONION = Filter(prepare, rejects="words")
