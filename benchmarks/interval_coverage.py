"""Coverage of the intervals, by simulation: how often does a 95% interval hold the truth?

    python -m benchmarks.interval_coverage --runs 500

prints one Markdown table per interval (docs/statistics.md shows them). Scores are normal with a patient effect, so
that AUC and TPR are known exactly: members stand ``shift`` standard deviations above non-members, and ``icc`` is the
share of variance between patients. Hits are beta-binomial by patient.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import beta, norm

from benchmarks.simulated import Design, noise, shift_of_auc
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.stats.arrays import BoolArray, FloatArray, IntArray
from mlflow_clinsec.stats.bootstrap import RankingEstimates, ranking_bootstrap
from mlflow_clinsec.stats.draws import ResampledMean
from mlflow_clinsec.stats.shares import clustered_difference, clustered_share

DESIGNS = (
    Design(20, 20, 10, 0.3),
    Design(20, 20, 10, 0.8),
    Design(40, 40, 10, 0.3),
    Design(40, 40, 10, 0.8),
    Design(100, 100, 4, 0.3),
    Design(10, 40, 10, 0.3),
    Design(100, 100, 1, 0.0),
    Design(400, 400, 1, 0.0),
)


def clustered_scores(design: Design, shift: float, rng: np.random.Generator) -> tuple[FloatArray, BoolArray, IntArray]:
    """Scores, membership and patients of one simulated audit."""
    return noise(design, rng) + shift * design.member, design.member, design.group


def clustered_hits(
    patients: int, notes: int, share: float, icc: float, rng: np.random.Generator
) -> tuple[BoolArray, IntArray]:
    """Hits and patients of one simulated trigger test."""
    rate = _patient_rates(rng.random(patients), share, icc)
    group = np.repeat(np.arange(patients), notes)
    return rng.random(group.size) < rate[group], group


def coverage(estimates: Iterator[Estimate], truth: float) -> tuple[float, float, float]:
    """Share of intervals that hold the truth, share that lie wholly above it, and mean width."""
    bounds = np.array([(estimate.low, estimate.high) for estimate in estimates])
    low, high = bounds.T
    inside = (low <= truth) & (truth <= high)
    return float(inside.mean()), float((low > truth).mean()), float((high - low).mean())


def ranking_coverage(
    design: Design, true_auc: float, runs: int, seed: int, n_boot: int = 400, by_note: bool = False
) -> dict[str, tuple[float, float, float]]:
    """Coverage of each metric of :func:`ranking_bootstrap`, and of the AUC's percentile interval for comparison.

    ``by_note`` makes the mistake of resampling notes as if each were a patient.
    """
    rng = np.random.default_rng(seed)
    shift = shift_of_auc(true_auc)
    found: dict[str, list[Estimate]] = {metric: [] for metric in TRUTHS}
    for _ in range(runs):
        scores, member, group = clustered_scores(design, shift, rng)
        codes = np.arange(group.size) if by_note else group
        ranking = ranking_bootstrap({"score": scores}, member, codes, rng, n_boot)["score"]
        for metric, estimate in {**ranking.as_mapping(), PERCENTILE: percentile(ranking)}.items():
            if metric in TRUTHS:
                found[metric].append(estimate)
    return {metric: coverage(iter(found[metric]), truth(shift)) for metric, truth in TRUTHS.items()}


def percentile(ranking: RankingEstimates) -> Estimate:
    """The textbook percentile interval of the AUC."""
    resampled = ranking.metrics["auc"]
    assert isinstance(resampled, ResampledMean)
    low, high = np.quantile(resampled.draws, [0.025, 0.975]).tolist()
    return Estimate(resampled.value, low, high, ranking.auc.n)


def share_coverage(
    patients: int, notes: int, share: float, icc: float, runs: int, seed: int
) -> tuple[float, float, float]:
    """Coverage of :func:`clustered_share`."""
    rng = np.random.default_rng(seed)
    drawn = (clustered_hits(patients, notes, share, icc, rng) for _ in range(runs))
    return coverage((clustered_share(hits, group) for hits, group in drawn), share)


def difference_coverage(
    patients: int, notes: int, shares: tuple[float, float], icc: float, placebos: int, runs: int, seed: int
) -> tuple[float, float, float]:
    """Coverage of :func:`clustered_difference` of a trigger and the mean over placebos on the same records."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), notes)

    def estimates() -> Iterator[Estimate]:
        for _ in range(runs):
            # One latent ease per patient drives both shares: patients easily flipped by one are by the other.
            ease = rng.random(patients)
            trigger = rng.random(group.size) < _patient_rates(ease, shares[0], icc)[group]
            rate = _patient_rates(ease, shares[1], icc)[group]
            placebo = (rng.random((group.size, placebos)) < rate[:, None]).mean(axis=1)
            yield clustered_difference(trigger, placebo, group)

    return coverage(estimates(), shares[0] - shares[1])


def _patient_rates(ease: FloatArray, share: float, icc: float) -> FloatArray:
    if icc == 0 or share in (0.0, 1.0):
        return np.full(ease.size, share)
    spread = (1 - icc) / icc
    return beta.ppf(ease, share * spread, (1 - share) * spread)


PERCENTILE = "auc, percentile interval (not used)"
TRUTHS: dict[str, Callable[[float], float]] = {
    "auc": lambda shift: float(norm.cdf(shift / math.sqrt(2))),
    PERCENTILE: lambda shift: float(norm.cdf(shift / math.sqrt(2))),
    "tpr_at_1pct_fpr": lambda shift: float(norm.cdf(shift + norm.ppf(0.01))),
    # At the best threshold, half-way between the classes. Thresholds chosen on half the patients do a little worse,
    # so this truth is a little too high.
    "balanced_accuracy": lambda shift: float(norm.cdf(shift / 2)),
}
AUCS = (0.5, 0.6, 0.7, 0.8, 0.95, 0.99)
SHARES = (0.005, 0.02, 0.1, 0.3, 0.9, 0.99)
DIFFERENCES = ((1.0, 0.0), (0.99, 0.01), (0.9, 0.05), (0.5, 0.4), (0.3, 0.3), (0.1, 0.02), (0.02, 0.02))


def table(title: str, columns: list[str], rows: Iterator[tuple[str, list[tuple[float, float, float]]]]) -> None:
    """Print coverage, with the share of intervals wholly above the truth in brackets."""
    print(f"\n{title}\n\n| design | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, cells in rows:
        print(f"| {name} | {' | '.join(f'{inside:.3f} ({above:.3f})' for inside, above, _ in cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of 95% intervals, by simulation")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs, seed = options.runs, options.seed
    found = {str(d): [ranking_coverage(d, auc, runs, seed) for auc in AUCS] for d in DESIGNS}
    for metric, truth in TRUTHS.items():
        rows = ((name, [cell[metric] for cell in cells]) for name, cells in found.items())
        table(metric, [f"{truth(shift_of_auc(auc)):.3g}" for auc in AUCS], rows)
    wrong = [(str(d), [ranking_coverage(d, auc, runs, seed, by_note=True)["auc"] for auc in AUCS]) for d in DESIGNS[:2]]
    table("auc, notes resampled instead of patients (not used)", [f"{auc:g}" for auc in AUCS], iter(wrong))
    groups = [
        (k, notes, icc) for k in (15, 40) for notes in (1, 10) for icc in ((0.0,) if notes == 1 else (0.0, 0.2, 0.6))
    ]
    share_rows = (
        (f"{k} patients x {m}, icc {icc:g}", [share_coverage(k, m, p, icc, runs, seed) for p in SHARES])
        for k, m, icc in groups
    )
    table("clustered_share", [f"{share:g}" for share in SHARES], share_rows)
    pairs = [(40, 1, 0.0, 1), (40, 10, 0.0, 20), (40, 10, 0.3, 1), (40, 10, 0.3, 20), (15, 8, 0.3, 20)]
    difference_rows = (
        (
            f"{k} patients x {m}, icc {icc:g}, {j} placebos",
            [difference_coverage(k, m, d, icc, j, runs, seed) for d in DIFFERENCES],
        )
        for k, m, icc, j in pairs
    )
    table("clustered_difference", [f"{a:g} - {b:g}" for a, b in DIFFERENCES], difference_rows)


if __name__ == "__main__":
    main()
