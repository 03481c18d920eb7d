"""Offline RMIA against a double loop over records and population written from the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fixtures_privacy import classifier, labelled, language_model, records
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy.rmia import (
    RMIA,
    RMIA_CLASSIFIER,
    RmiaOptions,
    drawn_patients,
    population_shares,
    score,
    score_classifier,
)
from mlflow_clinsec.results import Status
from mlflow_clinsec.strict import parse


def textbook(own: list[float], out: list[float], population: list[int], gamma: float, a: float) -> list[float]:
    """Share of population records z with (P(x) / mean P(x)) / (P(z) / mean P(z)) >= gamma."""

    def ratio(i: int) -> float:
        return own[i] / (0.5 * ((1 + a) * out[i] + (1 - a)))

    shares = []
    for x in range(len(own)):
        beaten = 0
        for z in population:
            if ratio(x) / ratio(z) >= gamma:
                beaten += 1
        shares.append(beaten / len(population))
    return shares


@pytest.mark.parametrize(("gamma", "a"), [(1.0, 1.0), (2.0, 1.0), (1.5, 0.3), (2.0, 0.0)])
def test_it_is_the_papers_share_up_to_ties(gamma: float, a: float) -> None:
    rng = np.random.default_rng(1)
    own, out, group = rng.uniform(0.05, 0.9, 120), rng.uniform(0.05, 0.9, 120), np.arange(120) // 2
    options = RmiaOptions(gamma=gamma, a=a)
    found = population_shares(own, out, group, options, np.random.default_rng(2))
    population = drawn_patients(group, options.population, np.random.default_rng(2))
    assert np.isnan(found[population]).all()
    expected = np.array(textbook(own.tolist(), out.tolist(), np.flatnonzero(population).tolist(), gamma, a))[
        ~population
    ]
    size = population.sum()
    ours = found[~population] * (size + 1)
    assert np.floor(ours).tolist() == np.round(expected * size).tolist()
    assert len(np.unique(ours)) == len(ours), "ties are broken"
    ratio = (own / (((1 + a) * out + 1 - a) / 2))[~population]
    assert spearmanr(ours, ratio).statistic == pytest.approx(1.0)


def test_the_population_is_whole_patients_and_never_judged() -> None:
    group = np.repeat(np.arange(60), 3)
    drawn = drawn_patients(group, 0.25, np.random.default_rng(0))
    assert drawn.reshape(-1, 3).all(axis=1).sum() == 15
    assert drawn.sum() == 45


def test_texts_by_hand() -> None:
    n = 40
    texts = [f"t{i}" for i in range(n)]
    losses = np.linspace(1, 2, n)
    data = records(texts, [i % 2 == 0 for i in range(n)])
    rows = {text: [-loss] * 2 for text, loss in zip(texts, losses, strict=True)}
    target = language_model(rows, {text: [-2.0, -2.0] for text in texts}, {text: [-1.0, -1.0] for text in texts})
    found = score(data, target, RmiaOptions(gamma=1.0), np.random.default_rng(0))
    population = drawn_patients(data.group, 0.25, np.random.default_rng(0))
    out = (math.exp(-2) + math.exp(-1)) / 2
    expected = textbook(np.exp(-losses).tolist(), [out] * n, np.flatnonzero(population).tolist(), 1.0, 1.0)
    size = population.sum()
    assert (
        np.floor(found[~population] * (size + 1)).tolist() == np.round(np.array(expected)[~population] * size).tolist()
    )


def test_classifiers_read_the_true_label_and_average_references() -> None:
    rng = np.random.default_rng(3)
    tables = [rng.dirichlet(np.ones(3), 60) for _ in range(3)]
    found = score_classifier(labelled(60, 0), classifier(*tables), RmiaOptions(a=0.3), np.random.default_rng(0))
    out = (tables[1][:, 0] + tables[2][:, 0]) / 2
    expected = population_shares(tables[0][:, 0], out, np.arange(60), RmiaOptions(a=0.3), np.random.default_rng(0))
    np.testing.assert_allclose(found, expected)


def test_a_population_that_reads_otherwise_is_refused() -> None:
    # the drawn patients' texts are far likelier under the references than the judged ones'
    group = np.arange(200)
    population = drawn_patients(group, 0.25, np.random.default_rng(5))
    out = np.where(population, 0.9, 0.1) * np.random.default_rng(6).uniform(0.9, 1.0, 200)
    with pytest.raises(NotApplicableError, match="does not fit the judged records"):
        population_shares(np.full(200, 0.5), out, group, RmiaOptions(), np.random.default_rng(5))


def test_the_fit_is_judged_by_patients_not_notes() -> None:
    # 25 notes of each patient are copies: by notes nearly every draw would differ "significantly", by patients few do
    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(80), 25)
    out = np.repeat(rng.uniform(0.1, 0.9, 80), 25)
    refused = 0
    for seed in range(40):
        try:
            population_shares(out, out, group, RmiaOptions(), np.random.default_rng(seed))
        except NotApplicableError:
            refused += 1
    assert refused <= 1


def test_few_patients_are_refused_and_records_without_score_left_out() -> None:
    with pytest.raises(NotApplicableError, match="of 12 patients is below 10"):
        drawn_patients(np.arange(12), 0.25, np.random.default_rng(0))
    own = np.full(80, 0.5)
    own[:3] = np.nan
    found = population_shares(own, np.full(80, 0.5), np.arange(80), RmiaOptions(), np.random.default_rng(0))
    assert np.isnan(found[:3]).all()
    with pytest.raises(NotApplicableError, match="too few records"):
        population_shares(own * np.nan, own, np.arange(80), RmiaOptions(), np.random.default_rng(0))


def test_noise_gives_no_advantage_and_a_leak_does() -> None:
    data = labelled(600, 1, notes=2)
    assert data.member is not None
    rng = np.random.default_rng(8)
    tables = [rng.dirichlet(np.ones(3) * 5, 600) for _ in range(2)]
    for boost, low, high in ((0.0, 0.42, 0.58), (0.4, 0.75, 1.0)):
        leaky = tables[0].copy()
        leaky[data.member, 0] += boost
        leaky /= leaky.sum(axis=1, keepdims=True)
        target = classifier(leaky, tables[1], seed=1, notes=2)
        result = run_attack(RMIA_CLASSIFIER, data, target, np.random.default_rng(0))
        assert result.scores is not None
        judged = np.isfinite(result.scores)
        assert 0.6 < judged.mean() < 0.8
        assert low < roc_auc_score(data.member[judged], result.scores[judged]) < high


@pytest.mark.parametrize("options", [{"gamma": 0.5}, {"a": 1.5}, {"population": 0.9}])
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        parse(RmiaOptions, options, "privacy.options.rmia")


def test_without_a_reference_it_is_skipped() -> None:
    data = records(["a", "b"], [True, False])
    result = run_attack(RMIA, data, language_model({"a": [-1.0], "b": [-1.0]}), np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "reference model" in result.reason
