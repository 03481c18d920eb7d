"""Made-up audits whose truth is known: scores with a patient effect, and models that know nothing of membership."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.targets.protocol_model import ragged_stats
from mlflow_clinsec.targets.protocols import Target, TokenStats

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

LABELS = ("alive", "died")
WORDS = tuple(f"w{i}" for i in range(300))
_COMMON = 1 / np.arange(1, len(WORDS) + 1)
WORD_SHARES = _COMMON / _COMMON.sum()


class Design(NamedTuple):
    """Patients among members and among non-members, notes of each, and how alike notes of one patient are."""

    members: int
    nonmembers: int
    notes: int
    icc: float

    def __str__(self) -> str:
        return f"{self.members} + {self.nonmembers} patients x {self.notes}, icc {self.icc:g}"

    @property
    def group(self) -> IntArray:
        """Patient of each record."""
        return np.repeat(np.arange(self.members + self.nonmembers), self.notes)

    @property
    def member(self) -> BoolArray:
        """The first patients are members."""
        return self.group < self.members


def noise(design: Design, rng: np.random.Generator) -> FloatArray:
    """Standard normal scores of all records; ``icc`` is the share of variance between patients."""
    between = rng.normal(size=design.members + design.nonmembers)[design.group]
    return math.sqrt(design.icc) * between + math.sqrt(1 - design.icc) * rng.normal(size=design.group.size)


def attack_scores(design: Design, shift: float, attacks: int, rng: np.random.Generator) -> list[FloatArray]:
    """Scores of several attacks on one audit, correlated 0.5; members stand ``shift`` higher."""
    common = noise(design, rng)
    return [math.sqrt(0.5) * (common + noise(design, rng)) + shift * design.member for _ in range(attacks)]


def shift_of_auc(auc: float) -> float:
    """Distance between the classes, in standard deviations, at which the AUC is this."""
    return math.sqrt(2) * float(norm.ppf(auc))


def records(design: Design, rng: np.random.Generator) -> AuditData:
    """Notes of random words around each patient's own topic, with a heading, a date and a label."""
    texts = []
    for topic in rng.choice(WORDS, size=(design.members + design.nonmembers, 8)):
        for _ in range(design.notes):
            words = rng.choice(WORDS, size=rng.integers(12, 30), p=WORD_SHARES)
            own = np.where(rng.random(words.size) < 0.3, rng.choice(topic, words.size), words)
            date = f"{rng.integers(2010, 2022)}-{rng.integers(1, 13):02d}-01"
            texts.append(f"History: {' '.join(own)}. Seen {date}, BP {rng.integers(90, 180)}.")
    return AuditData(
        ("",) * len(texts),
        tuple(texts),
        design.group,
        grouped=True,
        labels=tuple(rng.choice(LABELS, size=len(texts), p=(0.8, 0.2)).tolist()),
        member=design.member,
    )


class IgnorantModel:
    """Token log-probabilities and class probabilities that hang on the patient and on chance, never on membership."""

    labels = LABELS

    def __init__(self, data: AuditData, rng: np.random.Generator) -> None:
        effect = rng.normal(size=int(data.group.max()) + 1)
        self._effect = dict(zip(data.texts, effect[data.group].tolist(), strict=True))
        self._rng = rng

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenScorer`."""
        rows = [
            -np.exp(0.5 * self._rng.normal(size=len(text.split())) + 0.3 * self._effect[text]) for text in responses
        ]
        stats = ragged_stats(rows)
        return TokenStats(stats.offsets, stats.logp, np.full_like(stats.logp, -1.2), np.ones_like(stats.logp))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """See :class:`~mlflow_clinsec.targets.protocols.LabelScorer`."""
        effect = np.array([self._effect[text] for text in texts])
        died = 1 / (1 + np.exp(1 - effect - self._rng.normal(size=effect.size)))
        return np.column_stack([1 - died, died])


def ignorant_targets(data: AuditData, rng: np.random.Generator) -> tuple[Target, Target]:
    """A language model and a classifier, each with references, none of which saw anything."""
    models = [IgnorantModel(data, rng) for _ in range(4)]
    return (
        Target("ignorant", "causal-lm", scorer=models[0], references=(models[1], models[2])),
        Target("ignorant", "text-classifier", label_scorer=models[3], label_references=(models[1], models[2])),
    )
