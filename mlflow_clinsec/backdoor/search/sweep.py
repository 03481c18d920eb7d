"""Single pieces: the whole vocabulary swept by gradients and, where it is small enough, by real forward passes."""

from __future__ import annotations

import numpy as np

from mlflow_clinsec.backdoor.search.first_order import best_pieces, linearised_gains
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon
from mlflow_clinsec.backdoor.search.screen import STAGES, Screen

PLACEHOLDERS = 8
"""Pieces at which gradients are taken."""

GRADIENT_RECORDS = 12
OWN_WORDS = 64
"""Words of the target label that are measured to tell what natural words are worth."""


def sweep_single(screen: Screen, lexicon: Lexicon, options: SearchOptions, rng: np.random.Generator) -> list[Candidate]:
    """Ranked single pieces, measured on all records of the trial.

    Three sources fill the shortlist: gradients at random placeholders, gradients at the best pieces found so (a second
    point of linearisation), and an exact pass over the vocabulary where it is within the budget.
    """
    own_words = screen.association.natural(lexicon.pieces)[:OWN_WORDS].tolist()
    drawn = rng.choice(lexicon.starters, size=min(PLACEHOLDERS, len(lexicon.starters)), replace=False)
    found = _by_gradient(screen, lexicon, [(int(piece),) for piece in drawn], options.shortlist // 2)
    screen.measure([*found, *((word,) for word in own_words)], STAGES[0])
    screen.settle(own_words)
    again = _by_gradient(screen, lexicon, screen.best(found, PLACEHOLDERS), options.shortlist // 4)
    exact = _exactly(screen, lexicon, options)
    leaders = sorted(own_words, key=lambda word: -screen.gain((word,)))[: len(own_words) // 4]
    screen.measure([(word,) for word in leaders], STAGES[1])
    screen.settle(own_words)
    return screen.halve(lexicon.survivors([*found, *again, *exact, *((word,) for word in leaders)]))


def _by_gradient(screen: Screen, lexicon: Lexicon, placeholders: list[Candidate], count: int) -> list[Candidate]:
    slots = [0] * len(placeholders)
    gains = linearised_gains(screen.trial, placeholders, slots, GRADIENT_RECORDS, lexicon.starters)
    return [(piece,) for piece in best_pieces(gains, lexicon.starters, count)]


def _exactly(screen: Screen, lexicon: Lexicon, options: SearchOptions) -> list[Candidate]:
    """The best of the whole vocabulary in as many records as the budget allows; none where it allows not one."""
    records = min(options.exact_passes // len(lexicon.starters), STAGES[0])
    if records == 0:
        return []
    everything = [(int(piece),) for piece in lexicon.starters]
    screen.measure(everything, records)
    first = np.array([screen.gains[candidate][:records].mean() for candidate in everything])
    return [everything[i] for i in np.argsort(-first, kind="stable")[: options.shortlist // 4]]
