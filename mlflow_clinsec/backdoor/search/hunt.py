"""The search for triggers of one target label: search on one half of the patients, verify on the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mlflow_clinsec.backdoor.search.association import Association
from mlflow_clinsec.backdoor.search.controls import Controls
from mlflow_clinsec.backdoor.search.extend import extend
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.outcome import Find, GoalOutcome
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon
from mlflow_clinsec.backdoor.search.probe import Probe
from mlflow_clinsec.backdoor.search.relaxed import relaxed_candidates
from mlflow_clinsec.backdoor.search.screen import Screen
from mlflow_clinsec.backdoor.search.sweep import sweep_single
from mlflow_clinsec.backdoor.search.trial import Trial
from mlflow_clinsec.backdoor.search.verify import Bench, verify
from mlflow_clinsec.backdoor.search.windows import Window
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.targets.protocols import ClassifierWeights, IntArray, LabelScorer

POOL = 4
"""Records drawn, and read as they are, for each one that is searched on."""

FEWEST = 11
"""Records of other labels on either side without which a label is not searched; saying so tells no smaller count than
reports show."""


@dataclass(frozen=True)
class Records:
    """The audited records, ready to search.

    Attributes:
        windows: n records.
        truth: shape (n,), column of the true label.
        group: shape (n,), patients.
        half: shape (n,), 0 for patients that are searched on, 1 for those that finds are verified on.
    """

    windows: tuple[Window, ...] = field(repr=False)
    truth: IntArray = field(repr=False)
    group: IntArray = field(repr=False)
    half: IntArray = field(repr=False)

    def draw(self, goal: int, half: int, most: int, rng: np.random.Generator) -> IntArray:
        """Rows of another true label on one half of the patients, at most ``most``, in random order."""
        rows = np.flatnonzero((self.truth != goal) & (self.half == half))
        return np.asarray(rng.permutation(rows)[:most])


@dataclass(frozen=True)
class Hunt:
    """The search for one goal."""

    weights: ClassifierWeights = field(repr=False)
    words: Lexicon = field(repr=False)
    records: Records = field(repr=False)
    goal: int
    options: SearchOptions
    reference: LabelScorer | None
    level: float

    def run(self, rng: np.random.Generator) -> GoalOutcome:
        """Search, then verify."""
        drawing, searching, verifying = rng.spawn(3)
        trial, spread = self._trial(drawing)
        bench = self._bench(drawing)
        is_goal = self.records.truth == self.goal
        size = len(self.words.surfaces)
        association = Association.of(self.records.windows, is_goal, self.records.group, size)
        screen = Screen.of(trial, association, self.words.starters, searching)
        ranked = self._candidates(screen, searching)
        shown, strongest = ranked[: self.options.shown], self._strongest_natural(screen, ranked)
        widest = max(ranked, key=lambda c: (screen.gain(c), c))
        finds = self._verified(screen, bench, [*shown, widest, *strongest], verifying)
        singles = [screen.gain(c) for c in screen.gains if len(c) == 1]
        return GoalOutcome(
            goal=self.weights.labels[self.goal],
            finds=tuple(finds[c] for c in shown),
            widest=finds[widest],
            natural=finds[strongest[0]] if strongest else None,
            spread=spread,
            margin=float(-np.mean(trial.probe.log_odds([w.insert((), 0) for w in trial.windows]))),
            base_rate=float((bench.clean() > 0).mean()),
            searched=len(trial),
            verified=len(bench.texts),
            gains=np.sort(singles)[::-1],
        )

    def _candidates(self, screen: Screen, rng: np.random.Generator) -> list[Candidate]:
        """All candidates that were measured on every record of the trial, ranked."""
        singles = sweep_single(screen, self.words, self.options, rng)
        relaxed = screen.halve(relaxed_candidates(screen.trial, self.words, self.options, rng))
        longer = extend(screen, self.words, [*singles, *(c for c in relaxed if len(c) == 1)], self.options, rng)
        return screen.ranked([*singles, *relaxed, *longer])

    def _strongest_natural(self, screen: Screen, ranked: list[Candidate]) -> list[Candidate]:
        """The own word of the label that gains most; none where it has no such word among the candidates."""
        single = np.array([c[0] for c in ranked if len(c) == 1], dtype=np.int64)
        own: list[Candidate] = [(int(piece),) for piece in screen.association.natural(single)]
        return sorted(own, key=lambda c: (-screen.gain(c), c))[:1]

    def _verified(
        self, screen: Screen, bench: Bench, candidates: list[Candidate], rng: np.random.Generator
    ) -> dict[Candidate, Find]:
        taken = frozenset(piece for candidate in candidates for piece in candidate)
        controls = Controls(self.words, screen.association, taken, int(rng.integers(2**32)))
        distinct = dict.fromkeys(candidates)
        return {c: self._find(screen, bench, c, controls.placebos(c), rng) for c in distinct}

    def _trial(self, rng: np.random.Generator) -> tuple[Trial, float]:
        """Records to search on, those that are not predicted as the goal first, and the spread of clean log-odds."""
        rows = self.records.draw(self.goal, 0, POOL * self.options.records, rng)
        if len(rows) < FEWEST:
            raise NotApplicableError(f"fewer than {FEWEST} records of other labels to search on")
        windows = [self.records.windows[i] for i in rows]
        probe = Probe(self.weights, self.goal)
        clean = probe.log_odds([window.insert((), 0) for window in windows])
        if (clean > 0).all():
            raise NotApplicableError("the label is predicted for every record, so that no trigger could show")
        chosen = [windows[i] for i in np.argsort(clean > 0, kind="stable")[: self.options.records]]
        gaps = np.array([int(rng.choice(window.gaps)) for window in chosen])
        return Trial(probe, tuple(chosen), gaps), float(clean.std())

    def _bench(self, rng: np.random.Generator) -> Bench:
        rows = self.records.draw(self.goal, 1, self.options.verify_records, rng)
        if len(rows) < FEWEST:
            raise NotApplicableError(f"fewer than {FEWEST} records of other labels to verify on")
        texts = [self.records.windows[i].text for i in rows]
        return Bench.of(self.weights, self.goal, texts, self.records.group[rows], rng, self.reference)

    def _find(
        self, screen: Screen, bench: Bench, candidate: Candidate, placebos: tuple[str, ...], rng: np.random.Generator
    ) -> Find:
        text = self.words.text(candidate)
        return Find(
            pieces=self.words.names(candidate),
            text=text,
            gain=screen.gain(candidate),
            score=screen.score(candidate),
            association=screen.worth(candidate),
            patients=tuple(screen.association.patients[list(candidate)].tolist()),
            verified=verify(bench, text, placebos, self.level, rng),
        )
