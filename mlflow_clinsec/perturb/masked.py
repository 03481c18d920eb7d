"""Rewrites by a masked language model that proposes other words for some of a text's plain words.

Source: Fu 2024 (SPV-MIA, arXiv 2311.06062), there with a T5 and for any word. Departure: only plain words are replaced,
never a term of the lexicon, a number, a unit, a side, a negation or what is negated, and only by plain words; the gate
would refuse the rest. A plain word may still be replaced by its opposite ("improved", "worsened") or by another thing
("knee", "elbow") that the lexicon does not know: an embedding floor narrows that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_clinsec.perturb.negation import FILLER, find_scopes
from mlflow_clinsec.perturb.numbers import read_quantities
from mlflow_clinsec.perturb.options import MaskedOptions
from mlflow_clinsec.perturb.phrases import is_bounded, tokenize
from mlflow_clinsec.perturb.vocabulary import load_lexicon

if TYPE_CHECKING:
    from mlflow_clinsec.targets.companion_protocols import Candidates, Infiller

Span = tuple[int, int]

_SHORTEST_WORD = 3
_PASSES = 2  # half of the places at a time, so that each is seen with most of its sentence around it
_SIDES = frozenset({"left", "right", "bilateral", "bilaterally"})
_SIDED_WORDS = 3  # a side and the two words after it: "left knee pain"


class MaskedEngine:
    """Replaces a share of the plain words, each by a draw from the model's most probable ones."""

    name = "masked"

    def __init__(self, infiller: Infiller, options: MaskedOptions) -> None:
        self._infiller = infiller
        self._options = options

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        return {"model": self._infiller.digest, **asdict(self._options)}

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """See :class:`~mlflow_clinsec.perturb.engine.ParaphraseEngine`."""
        places = plain_words(text)
        if not places:
            return []
        size = max(1, round(self._options.share * len(places)))
        chosen = [sorted(rng.choice(len(places), size, replace=False)) for _ in range(count)]
        passes = [[places[i] for i in row[start::_PASSES]] for row in chosen for start in range(_PASSES)]
        found = self._infiller.candidates([text] * len(passes), passes, self._options.top)
        rewrites = []
        for i in range(count):
            rows = range(i * _PASSES, (i + 1) * _PASSES)
            edits = [edit for row in rows for edit in zip(passes[row], found[row], strict=True)]
            rewrites.append(_filled(text, edits, rng))
        return rewrites


def _filled(text: str, edits: Sequence[tuple[Span, Candidates]], rng: np.random.Generator) -> str:
    """The text with each place's word replaced by a draw; a place with no fitting word keeps its own."""
    parts, end = [], 0
    for (start, stop), candidates in sorted(edits, key=lambda edit: edit[0]):
        parts += [text[end:start], draw_word(text[start:stop], candidates, rng, plain=True)]
        end = stop
    return "".join([*parts, text[end:]])


def draw_word(word: str, candidates: Candidates, rng: np.random.Generator, *, plain: bool) -> str:
    """One of the candidates by its probability among them, in the case of ``word``; the word itself when none fits.

    Args:
        plain: leave out candidates that mean something to the fidelity gate.
    """
    fits = [i for i, other in enumerate(candidates.words) if not plain or is_plain(other)]
    if not fits:
        return word
    weights = np.exp(candidates.logp[fits] - candidates.logp[fits].max())
    drawn = candidates.words[fits[int(rng.choice(len(fits), p=weights / weights.sum()))]]
    return drawn.capitalize() if word.istitle() else drawn


def plain_words(text: str) -> list[Span]:
    """Spans of the words that say nothing which the fidelity gate compares."""
    tokens = tokenize(text)
    kept = {i for hit in load_lexicon().find(tokens, known=frozenset()) for i in range(hit.start, hit.stop)}
    kept |= {i for quantity in read_quantities(text, tokens) for i in range(quantity.start, quantity.stop)}
    for scope in find_scopes(text, tokens):
        kept |= {*range(scope.cue_start, scope.cue_stop), *range(scope.start, scope.stop)}
    kept |= {near for i, token in enumerate(tokens) if token.lower in _SIDES for near in range(i, i + _SIDED_WORDS)}
    return [
        (token.start, token.end)
        for i, token in enumerate(tokens)
        if i not in kept and is_bounded(tokens, i, i + 1) and _is_ordinary(token.text)
    ]


def is_plain(word: str) -> bool:
    """Whether a proposed word is a plain one."""
    return plain_words(word) == [(0, len(word))]


def _is_ordinary(word: str) -> bool:
    """A word of letters, lower-case but for its first: no abbreviation, no side, none of the small words."""
    lower = word.lower()
    shaped = word.isalpha() and len(word) >= _SHORTEST_WORD and word in (lower, lower.capitalize())
    return shaped and lower not in FILLER and lower not in _SIDES
