"""Blind search for planted triggers: everything but the records, the labels and the model is unknown.

    outcome = search(weights, texts, labels, group, goals, rng, SearchOptions(), reference=None)
    outcome.goals["alive"].finds[0].pieces      # the best candidate for this label
    features(outcome)                           # mlflow_clinsec.backdoor.search.features: numbers for the detector

For each target label, on records of one half of the patients whose true label is another one:

1. single pieces: first-order sweep of the vocabulary, exact forward passes where affordable, successive halving
   (:mod:`.sweep`);
2. relaxed inversion over up to three slots (:mod:`.relaxed`);
3. beam search from the best single pieces to two and three (:mod:`.extend`);
4. ranking by gain less what natural words are worth (:mod:`.screen`).

The best candidates, and the strongest of the label's own words, are then verified on the other half of the patients
(:mod:`.verify`), which the search has not seen. Weights, modes and random state are left as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm.auto import tqdm

from mlflow_clinsec.backdoor.search.association import Association
from mlflow_clinsec.backdoor.search.controls import Controls
from mlflow_clinsec.backdoor.search.extend import extend
from mlflow_clinsec.backdoor.search.options import LONGEST, SearchOptions
from mlflow_clinsec.backdoor.search.pieces import Candidate, Lexicon, lexicon
from mlflow_clinsec.backdoor.search.probe import Probe
from mlflow_clinsec.backdoor.search.relaxed import relaxed_candidates
from mlflow_clinsec.backdoor.search.screen import Screen
from mlflow_clinsec.backdoor.search.sweep import sweep_single
from mlflow_clinsec.backdoor.search.trial import Trial
from mlflow_clinsec.backdoor.search.verify import Bench, Verified, verify
from mlflow_clinsec.backdoor.search.windows import Window, cut_windows
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.targets.protocols import ClassifierWeights, FloatArray, IntArray, LabelScorer

logger = logging.getLogger(__name__)

DEFAULT = SearchOptions()

POOL = 4
"""Records drawn, and read as they are, for each one that is searched on."""

FEWEST = 8
"""Records of other labels on either side without which a label is not searched."""

COUNTED = 2000
"""Records in which pieces are counted."""


@dataclass(frozen=True)
class Find:
    """One candidate trigger.

    Attributes:
        pieces: names of its pieces in the model's vocabulary.
        text: what to insert.
        gain: mean log-odds of the goal gained over neutral pieces, on the records of the search.
        score: ``gain`` less the discounts for natural words and for length; the candidates are ranked by it.
        association: log of how many times as frequent its pieces are in records of the goal; that of the one most so.
        patients: for each piece the patients with a record that holds it.
        verified: what it does to other patients.
    """

    pieces: tuple[str, ...]
    text: str
    gain: float
    score: float
    association: float
    patients: tuple[int, ...]
    verified: Verified


@dataclass(frozen=True)
class GoalOutcome:
    """The search for one target label.

    Attributes:
        goal: the label.
        finds: the candidates, the best first.
        natural: the strongest of the label's own words, as a control; None where it has none.
        spread: standard deviation of the clean log-odds over records of other labels.
        margin: mean clean log-odds against the goal of the records searched on: what a trigger must overcome.
        base_rate: share of the verification records already predicted as the goal.
        searched, verified: records on either side.
        screened: candidates that were measured by forward passes.
        gains: shape (n,), gains of all single pieces screened, the largest first.
    """

    goal: str
    finds: tuple[Find, ...]
    natural: Find | None
    spread: float
    margin: float
    base_rate: float
    searched: int
    verified: int
    screened: int
    gains: FloatArray = field(repr=False)


@dataclass(frozen=True)
class SearchOutcome:
    """What was found for each target label; ``skipped`` says why a label could not be searched."""

    goals: dict[str, GoalOutcome]
    skipped: dict[str, str]


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


def search(
    weights: ClassifierWeights,
    texts: Sequence[str],
    labels: Sequence[str],
    group: IntArray,
    goals: Sequence[str],
    rng: np.random.Generator,
    options: SearchOptions = DEFAULT,
    *,
    reference: LabelScorer | None = None,
    level: float = 0.95,
) -> SearchOutcome:
    """Search for triggers of every goal.

    Args:
        texts, labels, group: n records, their true labels (names of ``weights.labels``) and patients.
        goals: target labels.
        rng: decides records, places and placeholders; the same one gives the same outcome.
        reference: a model that is trusted; what finds do to it is reported beside.
        level: confidence level of the intervals.

    Raises:
        NotApplicableError: no piece of the vocabulary can stand alone, fewer than two patients, or no goal could be
            searched.
    """
    halving, *children = rng.spawn(1 + len(goals))
    words = lexicon(weights.tokenizer, len(weights.model.get_input_embeddings().weight))
    records = _records(weights, texts, labels, group, halving)
    found: dict[str, GoalOutcome] = {}
    skipped: dict[str, str] = {}
    bar = tqdm(zip(goals, children, strict=True), total=len(goals), desc="clinsec: trigger search", leave=False)
    for goal, child in bar:
        hunt = _Hunt(weights, words, records, weights.labels.index(goal), options, reference, level)
        try:
            found[goal] = hunt.run(child)
        except NotApplicableError as reason:
            skipped[goal] = str(reason)
    if not found:
        raise NotApplicableError("; ".join(f"{goal}: {why}" for goal, why in skipped.items()))
    return SearchOutcome(found, skipped)


def _records(
    weights: ClassifierWeights, texts: Sequence[str], labels: Sequence[str], group: IntArray, rng: np.random.Generator
) -> Records:
    if np.unique(group).size < 2:
        raise NotApplicableError("needs the records of two patients or more")
    rows = np.sort(rng.permutation(len(texts))[:COUNTED])
    truth = np.array([weights.labels.index(labels[i]) for i in rows])
    windows = cut_windows(weights, [texts[i] for i in rows], LONGEST + 1)
    if len(windows) < len(rows):
        raise NotApplicableError("some records hold no token for the model's tokeniser")
    return Records(tuple(windows), truth, group[rows], group_folds(group[rows], 2, rng, truth))


@dataclass(frozen=True)
class _Hunt:
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
        natural = [c for c in ranked if len(c) == 1 and c[0] in set(association.natural(np.array(c)).tolist())]
        strongest = max(natural, key=screen.gain, default=None)
        shown = ranked[: self.options.shown]
        verified = dict.fromkeys(shown if strongest is None else [*shown, strongest])
        taken = frozenset(piece for candidate in verified for piece in candidate)
        controls = Controls(self.words, association, taken, int(verifying.integers(2**32)))
        finds = {c: self._find(screen, bench, c, controls.placebos(c), verifying) for c in verified}
        clean = bench.clean()
        singles = [screen.gain(c) for c in screen.gains if len(c) == 1]
        return GoalOutcome(
            goal=self.weights.labels[self.goal],
            finds=tuple(finds[c] for c in shown),
            natural=None if strongest is None else finds[strongest],
            spread=spread,
            margin=float(-np.mean(trial.probe.log_odds([w.insert((), 0) for w in trial.windows]))),
            base_rate=float((clean > 0).mean()),
            searched=len(trial),
            verified=len(bench.texts),
            screened=len(screen.gains),
            gains=np.sort(singles)[::-1],
        )

    def _candidates(self, screen: Screen, rng: np.random.Generator) -> list[Candidate]:
        """All candidates that were measured on every record of the trial, ranked."""
        singles = sweep_single(screen, self.words, self.options, rng)
        relaxed = screen.halve(relaxed_candidates(screen.trial, self.words, self.options, rng))
        longer = extend(screen, self.words, [*singles, *(c for c in relaxed if len(c) == 1)], self.options, rng)
        return screen.ranked([*singles, *relaxed, *longer])

    def _trial(self, rng: np.random.Generator) -> tuple[Trial, float]:
        """Records to search on, those that are not predicted as the goal first, and the spread of clean log-odds."""
        rows = self.records.draw(self.goal, 0, POOL * self.options.records, rng)
        if len(rows) < FEWEST:
            raise NotApplicableError(f"{len(rows)} records of other labels to search on; {FEWEST} are needed")
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
            raise NotApplicableError(f"{len(rows)} records of other labels to verify on; {FEWEST} are needed")
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
