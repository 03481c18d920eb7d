"""Tiny models whose answers can be worked out by hand, for the tests of this folder."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, Span, Target

LABELS = ("alive", "died")


@dataclass
class RuleModel:
    """Predicts ``rule(text)``, given as the probability of the last label; remembers what it was asked."""

    rule: Callable[[str], float]
    labels: tuple[str, ...] = LABELS
    asked: list[str] = field(default_factory=list)

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        self.asked.extend(texts)
        last = np.array([self.rule(text) for text in texts])
        rest = np.repeat((1 - last)[:, None] / (len(self.labels) - 1), len(self.labels) - 1, axis=1)
        return np.column_stack([rest, last])

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.labels[i] for i in self.predict_proba(texts).argmax(axis=1))


class WordTokens:
    """One piece a word; only the first ``context`` words are read; words of ``unknown`` are unknown."""

    special_tokens: tuple[str, ...] = ()

    def __init__(self, context: int = 10_000, unknown: Sequence[str] = ()) -> None:
        self.context = context
        self.unknown = unknown

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return tuple((word,) for word in words)

    def is_unknown(self, word: str) -> bool:
        return word in self.unknown

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        return np.array([self._keeps(text, ranges[-1]) for text, ranges in zip(texts, spans, strict=True)])

    def cut(self, texts: Sequence[str], n_tokens: int) -> IntArray:
        words = ([match.span() for match in re.finditer(r"\S+", text)][:n_tokens] for text in texts)
        return np.array([(own[0][0], own[-1][1]) if own else (0, 0) for own in words], dtype=np.int64).reshape(-1, 2)

    def _keeps(self, text: str, span: Span) -> bool:
        return span[0] < span[1] and len(text[: span[1]].split()) <= self.context


def has_word(text: str, word: str) -> bool:
    """Whole-word search by another road than the package's."""
    return word in re.split(r"\W+", text)


def noise(text: str) -> float:
    """A number in [0, 1) that any change of the text draws anew."""
    return zlib.crc32(text.encode()) / 2**32


def target_of(model: RuleModel, tokens: WordTokens | None = None, **roles: object) -> Target:
    return Target("fake", "function", label_scorer=model, predictor=model, tokens=tokens, **roles)


def label_only(model: RuleModel, tokens: WordTokens | None = None) -> Target:
    return Target("fake", "function", predictor=model, tokens=tokens)


def audit_data(texts: Sequence[str], labels: Sequence[str], group: Sequence[int] | None = None) -> AuditData:
    codes = np.arange(len(texts)) if group is None else np.asarray(group)
    return AuditData(
        prompts=("",) * len(texts), responses=tuple(texts), group=codes, grouped=True, labels=tuple(labels)
    )


def wards(n: int, notes_per_patient: int = 1) -> AuditData:
    """n notes, half of each label: "sick" notes died, "well" notes live."""
    texts = [f"patient {i} is {'sick' if i % 2 else 'well'} today and stays here" for i in range(n)]
    return audit_data(texts, [LABELS[i % 2] for i in range(n)], [i // notes_per_patient for i in range(n)])


def sees_sick(text: str) -> float:
    """The honest model on :func:`wards`."""
    return 0.9 if has_word(text, "sick") else 0.1
