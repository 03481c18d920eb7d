"""From one piece to two and three: beam search, each step guided by gradients and settled by forward passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlflow_clinsec.backdoor.search.first_order import best_pieces, linearised_gains
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon
from mlflow_clinsec.backdoor.search.screen import STAGES, Screen

PLACEHOLDERS = 4
GRADIENT_RECORDS = 8
TRIED = 16
"""Pieces tried in front of and behind each candidate of the beam."""

PILED = 5
"""Own words of the label that are piled up to see what natural runs do."""


def extend(
    screen: Screen, lexicon: Lexicon, singles: Sequence[Candidate], options: SearchOptions, rng: np.random.Generator
) -> list[Candidate]:
    """Candidates of two pieces up to ``max_pieces``, measured on all records of the trial.

    The beam starts from single pieces by score and by plain gain in turn, and goes on with the best of each length.
    """
    if options.beam == 0 or options.max_pieces == 1:
        return []
    _pile_up(screen, options)
    found: list[Candidate] = []
    beam = screen.best(singles, options.beam)
    for _ in range(options.max_pieces - 1):
        longer = [c for short in beam for c in _longer(screen, lexicon, short, rng)]
        # A piece said twice is the same trigger said louder.
        longer = lexicon.survivors([c for c in longer if len(set(c)) == len(c)])
        beam = screen.halve(longer)[: options.beam]
        found += beam
        if not beam:
            break
    screen.settle_runs()
    return found


def _pile_up(screen: Screen, options: SearchOptions) -> None:
    """Measure runs of the strongest own words, extended one by one as candidates are."""
    gains = screen.own_words.gains
    strongest = sorted(gains, key=lambda word: -gains[word])[:PILED]
    runs: list[Candidate] = [(word,) for word in strongest]
    for _ in range(options.max_pieces - 1):
        runs = [(*run, word) for run in runs for word in strongest if word not in run]
        screen.measure(runs, STAGES[1])
        runs = sorted(runs, key=lambda run: -screen.gain(run))[: options.beam]
    screen.settle_runs()


def _longer(screen: Screen, lexicon: Lexicon, short: Candidate, rng: np.random.Generator) -> list[Candidate]:
    """The candidate with another piece in front of it, and behind it, where a piece may also continue its word."""
    drawn = rng.choice(lexicon.starters, size=min(PLACEHOLDERS, len(lexicon.starters)), replace=False)
    made: list[Candidate] = []
    for allowed, slot in ((lexicon.starters, 0), (lexicon.pieces, len(short))):
        contexts = [(*short[:slot], int(piece), *short[slot:]) for piece in drawn]
        gains = linearised_gains(screen.trial, contexts, [slot] * len(contexts), GRADIENT_RECORDS, allowed)
        made += [(*short[:slot], piece, *short[slot:]) for piece in best_pieces(gains, allowed, TRIED)]
    return made
