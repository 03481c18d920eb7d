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

from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from mlflow_clinsec.backdoor.search.hunt import Hunt, Records
from mlflow_clinsec.backdoor.search.options import LONGEST, SearchOptions
from mlflow_clinsec.backdoor.search.outcome import Find, GoalOutcome, SearchOutcome
from mlflow_clinsec.backdoor.search.pieces import lexicon
from mlflow_clinsec.backdoor.search.windows import cut_windows
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.targets.protocols import ClassifierWeights, IntArray, LabelScorer

__all__ = ["Find", "GoalOutcome", "SearchOutcome", "search", "split_records"]

DEFAULT = SearchOptions()

COUNTED = 2000
"""Records at most that are searched on, and in which pieces are counted."""


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
    records = split_records(weights, texts, labels, group, halving)
    found: dict[str, GoalOutcome] = {}
    skipped: dict[str, str] = {}
    bar = tqdm(zip(goals, children, strict=True), total=len(goals), desc="clinsec: trigger search", leave=False)
    for goal, child in bar:
        hunt = Hunt(weights, words, records, weights.labels.index(goal), options, reference, level)
        try:
            found[goal] = hunt.run(child)
        except NotApplicableError as reason:
            skipped[goal] = str(reason)
    if not found:
        raise NotApplicableError("; ".join(f"{goal}: {why}" for goal, why in skipped.items()))
    return SearchOutcome(found, skipped)


def split_records(
    weights: ClassifierWeights, texts: Sequence[str], labels: Sequence[str], group: IntArray, rng: np.random.Generator
) -> Records:
    """Cut the records and deal their patients into two halves.

    Raises:
        NotApplicableError: fewer than two patients, or a record without a token.
    """
    if np.unique(group).size < 2:
        raise NotApplicableError("needs the records of two patients or more")
    rows = np.sort(rng.permutation(len(texts))[:COUNTED])
    truth = np.array([weights.labels.index(labels[i]) for i in rows])
    windows = cut_windows(weights, [texts[i] for i in rows], LONGEST + 1)
    if len(windows) < len(rows):
        raise NotApplicableError("some records hold no token for the model's tokeniser")
    return Records(tuple(windows), truth, group[rows], group_folds(group[rows], 2, rng, truth))
