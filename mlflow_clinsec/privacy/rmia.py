"""Offline RMIA: how large a share of a population the record beats in its gain over reference models.

Source: Zarifzadeh 2024 (arXiv 2312.03262, section 3): ratio(x) = P(x) / mean P(x), where the mean over models in and
out is taken from reference models alone as ((1 + a) mean P_ref(x) + 1 - a) / 2, and the score is the share of
population records z with ratio(x) / ratio(z) >= gamma.

The population is drawn by patient from all audited records, whichever side they stand on, and held out of judging:
an attacker has records like those in question, but not the very non-members that he is tested on. Its losses under
the references must fit those of the judged records (Kolmogorov-Smirnov test over patients' means).

Departures. For language models P is exp(-L), the geometric mean of the tokens' probabilities: whole texts'
likelihoods differ by their length above all, and vanish beside 1 - a. ``a`` is 1 there, which leaves mean P_ref(x):
even P is small beside 1 - a (on 640 real notes the AUC fell from 0.98 at 1 to 0.73 at 0.95). Records that beat
equally many of the population are ordered by their own ratio, so that a small population costs no resolution at low
false-positive rates. With one population for all records the score ranks them as their ratio does; gamma and the
population say how rare such a ratio is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp, rankdata

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.label_view import true_label_probability
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.privacy.token_view import reference_losses, references_stats, target_stats
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import Target

LEAST_PATIENTS = 10
"""Population patients below which shares of the population say little."""

MISFIT = 0.001
"""p-value below which the population is said not to fit; a population drawn at random falls there once in 1000."""

_LEAST = 1e-300  # keeps a ratio finite where a probability has rounded to 0


@dataclass(frozen=True)
class RmiaOptions(MembershipOptions):
    """Settings of RMIA.

    Attributes:
        gamma: by which factor a record's ratio must exceed a population record's.
        a: how much surer models are of records that they saw; 1 takes the references' mean as it stands.
        population: share of the patients that is held out as population.
    """

    gamma: float = setting(2.0, low=1.0, high=100.0)
    a: float = setting(1.0, low=0.0, high=1.0)
    population: float = setting(0.25, low=0.05, high=0.5)


def score(data: AuditData, target: Target, options: RmiaOptions, rng: np.random.Generator) -> FloatArray:
    """Share of the population that a text beats, shape (n_records,); NaN for the population itself.

    Raises:
        NotApplicableError: too few patients, or the population does not fit.
    """
    stats = target_stats(data, target)
    references = np.exp(-reference_losses(stats, references_stats(data, target)))
    return population_shares(np.exp(-stats.nll()), references.mean(axis=0), data.group, options, rng)


def score_classifier(data: AuditData, target: Target, options: RmiaOptions, rng: np.random.Generator) -> FloatArray:
    """Share of the population that a record beats by its true label's probability, shape (n_records,).

    Raises:
        NotApplicableError: too few patients, or the population does not fit.
    """
    own = true_label_probability(data, target, target.label_scorer)
    references = [true_label_probability(data, target, reference) for reference in target.label_references]
    return population_shares(own, np.mean(references, axis=0), data.group, options, rng)


def population_shares(
    own: FloatArray, out: FloatArray, group: NDArray[np.int64], options: RmiaOptions, rng: np.random.Generator
) -> FloatArray:
    """RMIA's score of the records that are not drawn into the population.

    Args:
        own: shape (n,), probability of each record under the target.
        out: shape (n,), its mean over reference models.
        group: shape (n,), patients, which are never split.

    Raises:
        NotApplicableError: see :func:`score`.
    """
    usable = np.isfinite(own) & np.isfinite(out)
    population = drawn_patients(group, options.population, rng) & usable
    judged = usable & ~population
    _refuse_misfit(np.log(np.maximum(out, _LEAST)), group, population, judged)
    ratio = own / np.maximum(((1 + options.a) * out + 1 - options.a) / 2, _LEAST)
    beaten = np.searchsorted(np.sort(options.gamma * ratio[population]), ratio[judged], side="right")
    order = rankdata(ratio[judged]) / (judged.sum() + 1)
    scores = np.full(len(own), np.nan)
    scores[judged] = (beaten + order) / (population.sum() + 1)
    return scores


def drawn_patients(group: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """All records of a random share of the patients, shape (n,).

    Raises:
        NotApplicableError: fewer patients than a population needs.
    """
    patients = np.unique(group)
    count = round(share * len(patients))
    if count < LEAST_PATIENTS:
        raise NotApplicableError(
            f"a population of {share:g} of {len(patients)} patients is below {LEAST_PATIENTS}; "
            "it is held out of the judged records"
        )
    return np.isin(group, rng.choice(patients, count, replace=False))


def _refuse_misfit(
    values: FloatArray, group: NDArray[np.int64], population: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> None:
    """Patients' means are compared, since notes of one patient resemble each other.

    Raises:
        NotApplicableError: one side is empty, or the two differ.
    """
    if not population.any() or not judged.any():
        raise NotApplicableError("too few records have a score under the target and its references")
    p_value = ks_2samp(_patient_means(values, group, population), _patient_means(values, group, judged)).pvalue
    if p_value < MISFIT:
        raise NotApplicableError(
            f"the population does not fit the judged records (their losses under the references differ, "
            f"Kolmogorov-Smirnov p = {p_value:.1g})"
        )


def _patient_means(values: FloatArray, group: NDArray[np.int64], rows: NDArray[np.bool_]) -> FloatArray:
    _, patient = np.unique(group[rows], return_inverse=True)
    return np.bincount(patient, weights=values[rows]) / np.bincount(patient)


_SOURCE = "Zarifzadeh 2024, arXiv 2312.03262, section 3"
_DEPARTURES = "the population is drawn from the audited patients and not judged; ties are broken by the ratio"

RMIA = membership_attack(
    "rmia",
    "gain over reference models against a population's",
    score,
    access="log-probability",
    requires=("scorer", "reference"),
    source=_SOURCE,
    formula="share of z with ratio(x) / ratio(z) >= gamma, ratio = P / (((1 + a) mean P_ref + 1 - a) / 2), P = exp(-L)",
    options=RmiaOptions(),
    default=False,
    departures=f"{_DEPARTURES}; a text's P is the geometric mean of its tokens' probabilities",
)

RMIA_CLASSIFIER = membership_attack(
    "rmia_classifier",
    "gain over reference classifiers against a population's",
    score_classifier,
    access="probability",
    requires=("label_scorer", "label_reference"),
    source=_SOURCE,
    formula="share of z with ratio(x) / ratio(z) >= gamma, ratio = p_y / (((1 + a) mean p_y_ref + 1 - a) / 2)",
    needs=("labels",),
    options=RmiaOptions(a=0.3),
    default=False,
    departures=_DEPARTURES,
)
