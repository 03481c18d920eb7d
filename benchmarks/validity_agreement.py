"""The same numbers from implementations that are not ours: scikit-learn, scipy, and jax-privacy where it is installed.

jax-privacy is a peer of this benchmark alone (``pip install jax-privacy``); without it its rows say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks.simulated import BoolArray, FloatArray
from mlflow_clinsec.stats.epsilon import epsilon_from_counts, one_run_bound
from mlflow_clinsec.stats.roc import auc, tpr_at_fpr
from mlflow_clinsec.stats.shares import clopper_pearson, wilson
from mlflow_clinsec.stats.tests import benjamini_hochberg, permutation_auc_test

DRAWS = 200
PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Agreement:
    """Largest difference between our number and another's.

    Attributes:
        largest: over all trials; None where the other implementation is not installed.
        allowed: rounding, or chance where both draw at random.
        reason: why there is no figure.
    """

    number: str
    other: str
    trials: int
    largest: float | None
    allowed: float
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the benchmark's JSON object."""
        return asdict(self) | {"agrees": self.largest is None or self.largest <= self.allowed}


def agreements(rng: np.random.Generator) -> Iterator[Agreement]:
    """Every pair of implementations, on random samples with ties."""
    yield _compare("AUC", "sklearn roc_auc_score", DRAWS, lambda: _auc_gap(rng))
    yield _compare("TPR at 1% FPR", "sklearn roc_curve", DRAWS, lambda: _tpr_gap(rng))
    yield _compare(
        "Clopper-Pearson interval", "scipy binomtest", DRAWS, lambda: _share_gap(rng, clopper_pearson, "exact")
    )
    yield _compare("Wilson", "scipy binomtest", DRAWS, lambda: _share_gap(rng, wilson, "wilson"))
    yield _compare("Benjamini-Hochberg", "scipy false_discovery_control", DRAWS, lambda: _bh_gap(rng))
    # Two estimates of one p-value from 20,000 permutations each differ by about 0.005.
    yield _compare("permutation p-value", "scipy permutation_test", 5, lambda: _permutation_gap(rng), allowed=0.02)
    yield from _jax_privacy(rng)


def _compare(number: str, other: str, trials: int, gap: Callable[[], float], allowed: float = 1e-9) -> Agreement:
    return Agreement(number, other, trials, float(max(gap() for _ in range(trials))), allowed)


def _sample(rng: np.random.Generator, least: int = 5) -> tuple[FloatArray, BoolArray]:
    members, others = rng.integers(least, 400, size=2)
    member = np.arange(members + others) < members
    return (rng.normal(size=member.size) + member).round(int(rng.integers(1, 4))), member


def _auc_gap(rng: np.random.Generator) -> float:
    scores, member = _sample(rng)
    return abs(auc(scores, member) - float(roc_auc_score(member, scores)))


def _tpr_gap(rng: np.random.Generator) -> float:
    scores, member = _sample(rng, least=100)
    false_rate, true_rate, _ = roc_curve(member, scores, drop_intermediate=False)
    return abs(tpr_at_fpr(scores, member, 0.01) - float(true_rate[false_rate <= 0.01 + 1e-12].max()))


def _share_gap(rng: np.random.Generator, ours: Callable[..., tuple[float, float]], method: str) -> float:
    n = int(rng.integers(1, 500))
    hits, level = int(rng.integers(0, n + 1)), float(rng.uniform(0.8, 0.999))
    theirs = stats.binomtest(hits, n).proportion_ci(level, method=method)
    return max(abs(a - b) for a, b in zip(ours(hits, n, level), theirs, strict=True))


def _bh_gap(rng: np.random.Generator) -> float:
    p = rng.random(int(rng.integers(1, 30)))
    return float(np.abs(benjamini_hochberg(p) - stats.false_discovery_control(p)).max())


def _permutation_gap(rng: np.random.Generator) -> float:
    member = np.arange(60) < 25
    scores = rng.normal(size=60) + 0.3 * member
    # On ranks the AUC is a difference of means, so that both permute the same statistic.
    ranks = stats.rankdata(scores)
    theirs = stats.permutation_test(
        (ranks[member], ranks[~member]), _mean_difference, alternative="greater", n_resamples=PERMUTATIONS, rng=rng
    )
    return abs(permutation_auc_test(scores, member, np.arange(60), rng, PERMUTATIONS) - float(theirs.pvalue))


def _mean_difference(a: FloatArray, b: FloatArray, axis: int = -1) -> Any:
    return a.mean(axis=axis) - b.mean(axis=axis)


def _jax_privacy(rng: np.random.Generator) -> Iterator[Agreement]:
    rows = (("epsilon by Clopper-Pearson", _clopper_pearson_gap), ("one-run epsilon", _one_run_gap))
    try:
        from jax_privacy import auditing
    except ImportError:
        for number, _ in rows:
            yield Agreement(number, "jax-privacy", 0, None, 1e-5, "jax-privacy is not installed")
        return
    other = f"jax-privacy {metadata.version('jax-privacy')}"
    for number, gap in rows:
        yield _compare(number, other, DRAWS, partial(gap, rng, auditing), allowed=1e-5)


def _clopper_pearson_gap(rng: np.random.Generator, auditing: Any) -> float:
    """At a threshold fixed in advance, both directions."""
    scores, member = _sample(rng)
    threshold, delta = float(np.quantile(scores, rng.random())), float(rng.choice([0.0, 0.01]))
    peer = auditing.CanaryScoreAuditor(scores[member], scores[~member])
    theirs = peer.epsilon_clopper_pearson(0.05, delta, one_sided=False, threshold_strategy=auditing.Explicit(threshold))
    called = scores >= threshold
    hits, alarms = int(called[member].sum()), int(called[~member].sum())
    ours = epsilon_from_counts(hits, int(member.sum()), alarms, int((~member).sum()), delta=delta)
    return abs(float(ours) - float(theirs))


def _one_run_gap(rng: np.random.Generator, auditing: Any) -> float:
    """The peer guesses "included" only, above a threshold fixed in advance, and needs a delta above 0."""
    scores, member = _sample(rng)
    threshold, delta = float(np.quantile(scores, rng.uniform(0.3, 0.95))), float(rng.choice([1e-6, 1e-4]))
    peer = auditing.CanaryScoreAuditor(scores[member], scores[~member])
    theirs = peer.epsilon_one_run(0.05, delta, threshold_strategy=auditing.Explicit(threshold))
    guessed = scores >= threshold
    ours = one_run_bound(member.size, int(guessed.sum()), int(member[guessed].sum()), delta, 0.05)
    return abs(ours - float(theirs))
