"""The neighbourhood attack: a member's own words are likelier than slightly different ones.

Source: Mattern 2023 (arXiv 2305.18462, sections 3.1 and 3.2): a masked language model replaces m words of the record,
n times over, and the score is the mean loss of these neighbours less the record's own.

Departures: words are masked rather than blurred by dropout, whole words are replaced rather than pieces, and a word is
drawn by its probability among the most probable ones instead of always taking the best. Of a prompt and response only
the response, which is what is scored, is changed.

Neighbours are not held to the fidelity gate, by design: the attack asks how wording raises likelihood and has no need
of neighbours that say the same. :mod:`mlflow_clinsec.privacy.paraphrase_gap` is the form with faithful rewrites.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.masked import draw_word
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import target_stats
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.companion_protocols import Infiller, Span
from mlflow_clinsec.targets.protocols import Target

_WORD = re.compile(r"[^\W\d_]{2,}")
_MASKED_AT_ONCE = 0.15  # as masked language models are trained


@dataclass(frozen=True)
class NeighbourOptions(MembershipOptions):
    """Attributes:
    neighbours: n, of each record.
    words: m, words replaced in a neighbour; fewer in a text that has fewer.
    top: most probable words of each place from which one is drawn.
    """

    neighbours: int = setting(20, low=1, high=1000)
    words: int = setting(3, low=1, high=100)
    top: int = setting(10, low=1, high=1000)


def score(data: AuditData, target: Target, options: NeighbourOptions, rng: np.random.Generator) -> FloatArray:
    """mean L(neighbour) - L(x) in nats per token, shape (n_records,); NaN for a text without a word to replace.

    A record's neighbours depend on its own text and on one draw from ``rng``, never on other records.
    """
    assert target.scorer is not None
    assert target.infiller is not None
    base_seed = int(rng.integers(2**63))
    rows = [neighbours(text, target.infiller, options, base_seed) for text in data.responses]
    owner = np.repeat(np.arange(len(data)), [len(row) for row in rows])
    texts = [text for row in rows for text in row]
    losses = target.scorer.token_stats([data.prompts[i] for i in owner], texts).nll()
    counts = np.bincount(owner, minlength=len(data))
    sums = np.bincount(owner, weights=losses, minlength=len(data))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means - target_stats(data, target).nll()


class _Place(NamedTuple):
    """A word of the text and what may stand in its stead."""

    span: Span
    options: tuple[str, ...]


def neighbours(text: str, infiller: Infiller, options: NeighbourOptions, base_seed: int) -> list[str]:
    """Texts with ``options.words`` words replaced, ``options.neighbours`` of them; none when there is no word."""
    rng = np.random.default_rng([base_seed, int.from_bytes(text_key(text), "little")])
    spans = [found.span() for found in _WORD.finditer(text)]
    if not spans:
        return []
    many = options.neighbours * options.words
    chosen = [spans[i] for i in rng.choice(len(spans), min(many, len(spans)), replace=False)]
    places = _filled_places(text, chosen, infiller, options, rng, len(spans))
    if not places:
        return []
    size = min(options.words, len(places))
    picks = [rng.choice(len(places), size, replace=False) for _ in range(options.neighbours)]
    return [_with_words(text, [places[i] for i in pick], rng) for pick in picks]


def _filled_places(
    text: str,
    chosen: Sequence[Span],
    infiller: Infiller,
    options: NeighbourOptions,
    rng: np.random.Generator,
    words: int,
) -> list[_Place]:
    """For each chosen word, draws of others. Few are masked in one pass, so that the sentence around them stays."""
    size = max(1, int(_MASKED_AT_ONCE * words))
    groups = [sorted(chosen[i : i + size]) for i in range(0, len(chosen), size)]
    places = []
    for group, found in zip(groups, infiller.candidates([text] * len(groups), groups, options.top), strict=True):
        for span, candidates in zip(group, found, strict=True):
            word = text[span[0] : span[1]]
            draws = [draw_word(word, candidates, rng, plain=False) for _ in range(options.neighbours)]
            others = tuple(draw for draw in draws if draw != word)
            if others:
                places.append(_Place(span, others))
    return places


def _with_words(text: str, places: Sequence[_Place], rng: np.random.Generator) -> str:
    parts, end = [], 0
    for (start, stop), options in sorted(places):
        parts += [text[end:start], options[int(rng.integers(len(options)))]]
        end = stop
    return "".join([*parts, text[end:]])


NEIGHBOURHOOD = membership_attack(
    "neighbourhood",
    "loss of texts with a few words replaced against the record's",
    score,
    access="log-probability",
    requires=("scorer", "infiller"),
    source="Mattern 2023, arXiv 2305.18462, sections 3.1 and 3.2",
    formula="mean L(neighbour) - L(x), neighbours by masked-LM substitution of a few words",
    options=NeighbourOptions(),
    new_text=True,
    default=False,
    departures="words are masked instead of blurred by dropout, and drawn instead of taking the most probable",
)
