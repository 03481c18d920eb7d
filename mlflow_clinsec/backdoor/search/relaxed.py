"""Relaxed inversion: optimise a mixture of pieces for each slot while its temperature falls, then read off the pieces.

Source: DBS (Shen et al. 2022, arXiv 2202.05749): softmax weights over the vocabulary as embeddings, a temperature that
falls as long as the attack succeeds and rises again, with noise, where it is stuck. Departures: the loss is softplus of
the negative log-odds (cross-entropy for two classes); temperatures and step size are ours; only pieces that can stand
alone take part; and the outcome is a proposal for the screen, never a finding by its own loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon
from mlflow_clinsec.backdoor.search.probe import differentiable
from mlflow_clinsec.backdoor.search.trial import Trial

RECORDS = 8
STEP = 0.5
START, LOWEST, HIGHEST = 1.0, 0.05, 2.0
COOL, REHEAT = 0.5, 4.0
PERIOD = 5
"""Steps between two changes of the temperature."""

SOLVED = 0.1
"""Mean loss in nats under which the temperature falls: the goal has about 90% probability."""

PATIENCE = 3
"""Periods without success after which the temperature rises and the weights are shaken."""

NOISE = 1.0
READ = 3
"""Pieces read off each slot."""


@dataclass
class Temperature:
    """The schedule: cool on success, roll back when stuck."""

    value: float = START
    failures: int = 0

    def after(self, loss: float) -> bool:
        """Note a period's loss; True when the weights are to be shaken."""
        if loss < SOLVED:
            self.value, self.failures = max(self.value * COOL, LOWEST), 0
            return False
        self.failures += 1
        if self.failures < PATIENCE:
            return False
        self.value, self.failures = min(self.value * REHEAT, HIGHEST), 0
        return True


def relaxed_candidates(
    trial: Trial, lexicon: Lexicon, options: SearchOptions, rng: np.random.Generator
) -> list[Candidate]:
    """Single pieces and runs of pieces that the inversion settles on; none where it is switched off."""
    if options.relaxed_steps == 0:
        return []
    weights = invert(trial, lexicon, options.max_pieces, options.relaxed_steps, rng)
    ids = lexicon.starters
    best = np.argsort(-weights, axis=1, kind="stable")[:, :READ]
    top = tuple(int(ids[row[0]]) for row in best)
    runs = [top[i:j] for i in range(len(top)) for j in range(i + 1, len(top) + 1)]
    distinct = [run for run in runs if len(set(run)) == len(run)]
    return lexicon.survivors([*distinct, *((int(ids[i]),) for i in best.ravel())])


def invert(
    trial: Trial, lexicon: Lexicon, slots: int, steps: int, rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The mixture after ``steps`` optimiser steps, shape (slots, n_starters), rows summing to 1."""
    probe = trial.probe
    table = probe.embedded(lexicon.starters)
    generator = torch.Generator().manual_seed(int(rng.integers(2**32)))

    def noise() -> torch.Tensor:
        return torch.randn((slots, len(table)), generator=generator).to(table.device)

    few = range(min(RECORDS, len(trial)))
    filler = (int(lexicon.starters[0]),) * slots
    rows = [trial.windows[i].insert(filler, int(trial.gaps[i])) for i in few]
    places = np.array([trial.windows[i].start(int(trial.gaps[i])) for i in few])
    temperature, losses = Temperature(), []
    with differentiable(probe.weights.model):
        logits = (0.1 * noise()).requires_grad_()
        optimiser = torch.optim.Adam([logits], lr=STEP)
        for step in range(1, steps + 1):
            mixture = torch.softmax(logits / temperature.value, dim=1)
            loss = torch.nn.functional.softplus(-probe.mixed_log_odds(rows, places, mixture @ table.float())).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
            if step % PERIOD == 0 and temperature.after(float(np.mean(losses[-PERIOD:]))):
                with torch.no_grad():
                    logits += NOISE * noise()
        return torch.softmax(logits / temperature.value, dim=1).detach().double().cpu().numpy()
