"""STRIP: an input whose answer survives having its words replaced is held up by a trigger.

Source: Gao et al. 2019 (arXiv 1902.06531) and, for text, Gao et al. 2021 (arXiv 1911.10312): each input is copied N
times; in every copy a share of the words gives way to the words of a held-out text that are most its own (TF-IDF); the
score is the entropy of the class probabilities, averaged over the copies. Low entropy is suspicious.

The entropy of a copy is taken over the classes of that copy. Kits that flatten inputs, copies and classes into one
axis, or that sum over the copies first, mix inputs or rank them the other way round.

Departure: which words of the copy give way is drawn uniformly, by a generator that hangs on seed and text alone, so
that an input's score does not depend on its neighbours.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mlflow_clinsec.backdoor.filters.base import Filter, Material, Prepared, Sifted, Spans, threshold_for
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.targets.protocols import FloatArray, LabelScorer

_WORD = re.compile(r"\S+")

Sources = tuple[tuple[str, ...], ...]
"""Words of each held-out text, the most distinctive first."""


@dataclass(frozen=True)
class Strip:
    """STRIP with its threshold set; see the module."""

    scorer: LabelScorer
    sources: Sources = field(repr=False)
    copies: int
    share: float
    seed: int
    threshold: float = math.inf

    def sift(self, texts: Sequence[str], spans: Spans) -> Sifted:
        """Refuse the texts whose copies are answered with too little entropy."""
        return Sifted.whole(texts, self.scores(texts), self.threshold)

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """Minus the mean entropy of each text's copies in nats, shape (n,)."""
        if not texts:
            return np.empty(0)
        copies = [copy for text in texts for copy in self.perturbed(text)]
        probabilities = np.asarray(self.scorer.predict_proba(copies), dtype=np.float64)
        return -mean_entropy(probabilities.reshape(len(texts), self.copies, -1))

    def perturbed(self, text: str) -> list[str]:
        """The copies of one text, each with words of one held-out text."""
        rng = np.random.default_rng([self.seed, *text_key(text)])
        chosen = rng.integers(len(self.sources), size=self.copies)
        return [replaced(text, self.sources[source], self.share, rng) for source in chosen]


def prepare(material: Material, rng: np.random.Generator) -> list[Prepared]:
    """STRIP for all target labels at once: its score does not hang on them.

    Raises:
        NotApplicableError: the model gives no class probabilities, or no text to learn from has a word.
    """
    scorer, options = material.target.label_scorer, material.options
    sources = distinctive_words(material.learn)
    if scorer is None:
        raise NotApplicableError(f"needs {material.target.missing(('label_scorer',))}")
    if not sources:
        raise NotApplicableError("needs clean records with words in them")
    strip = Strip(scorer, sources, options.strip_copies, options.strip_share, int(rng.integers(2**32)))
    threshold = threshold_for(strip.scores(material.calibrate), options.false_rejection_rate)
    return [Prepared(tuple(range(len(material.decider.goals))), replace(strip, threshold=threshold))]


def mean_entropy(probabilities: FloatArray) -> FloatArray:
    """Entropy over the classes in nats, averaged over the copies.

    Args:
        probabilities: shape (n, copies, classes), rows of classes summing to 1.

    Returns:
        Shape (n,), in [0, log classes].
    """
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(-(probabilities * logs).sum(axis=2).mean(axis=1))


def distinctive_words(texts: Sequence[str]) -> Sources:
    """The different words of each text that has any, by falling TF-IDF; equals in alphabetical order."""
    bags = [Counter(_WORD.findall(text)) for text in texts]
    seen = Counter(word for bag in bags for word in bag)
    ranked = (
        sorted(bag, key=lambda word, bag=bag: (-bag[word] * math.log(len(bags) / seen[word]), word))  # type: ignore[misc]
        for bag in bags
        if bag
    )
    return tuple(map(tuple, ranked))


def replaced(text: str, words: Sequence[str], share: float, rng: np.random.Generator) -> str:
    """The text with a share of its words, at least one, replaced by the first of ``words``; white space is kept."""
    spans = [match.span() for match in _WORD.finditer(text)]
    count = min(len(spans), max(1, round(share * len(spans))))
    places = rng.permutation(len(spans))[:count]
    new = {int(place): words[i % len(words)] for i, place in enumerate(places)}
    pieces, end = [], 0
    for i, (start, stop) in enumerate(spans):
        pieces += [text[end:start], new.get(i, text[start:stop])]
        end = stop
    return "".join([*pieces, text[end:]])


STRIP = Filter(prepare, rejects="records")
