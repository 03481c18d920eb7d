"""The benchmark of validity: its simulations have the truth they claim, and its verdicts on rates are right."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from benchmarks import validity, validity_agreement
from benchmarks.simulated import Design, attack_scores, ignorant_targets, noise, records, shift_of_auc
from benchmarks.validity_membership import MIDDLE, _memorised_tenth
from benchmarks.validity_others import canaries
from benchmarks.validity_rates import Rate, coverage, false_alarms
from mlflow_clinsec.results import Estimate

LARGE = Design(2000, 2000, 2, 0.5)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("events", "kind", "holds", "exact"),
    [
        (25, "false alarm", True, True),
        (33, "false alarm", True, True),  # 6.6%: its interval, 4.6% to 9.1%, still holds 5%
        (45, "false alarm", False, True),  # 9%: 6.6% to 11.9%
        (475, "coverage", True, True),
        (440, "coverage", False, True),  # 88%: at most 90.7%
        (500, "coverage", True, False),
    ],
)
def test_rates_are_held_against_their_promise_within_binomial_error(
    events: int, kind: str, holds: bool, exact: bool
) -> None:
    rate = Rate("x", "y", kind, events, 500)
    assert (rate.holds, rate.exact) == (holds, exact)


def test_coverage_and_false_alarms_by_hand() -> None:
    found = coverage("x", "y", [Estimate(0.5, a, b, 9) for a, b in ((0.4, 0.6), (0.55, 0.7), (0.2, 0.3))], 0.5)
    assert (found.events, found.runs, found.above) == (1, 3, pytest.approx(1 / 3))
    (alarm,) = false_alarms("y", {"x": [True, None, False], "never told": [None]})
    assert (alarm.events, alarm.runs) == (1, 2)


def test_simulated_scores_have_the_auc_and_the_clustering_they_claim() -> None:
    first, second = attack_scores(LARGE, shift_of_auc(0.8), 2, rng())
    assert roc_auc_score(LARGE.member, first) == pytest.approx(0.8, abs=0.02)
    outside = ~LARGE.member
    assert np.corrcoef(first[outside], second[outside])[0, 1] == pytest.approx(0.5, abs=0.04)
    pairs = noise(LARGE, rng()).reshape(-1, 2)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.5, abs=0.04)
    assert pairs.std() == pytest.approx(1, abs=0.03)


def test_a_tenth_memorised_has_the_auc_it_claims() -> None:
    generator = rng()
    found = [roc_auc_score(MIDDLE.member, _memorised_tenth(MIDDLE, 3.0, generator)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.45 + 0.1 * norm.cdf(3 / np.sqrt(2)), abs=0.01)


def test_ignorant_models_hang_on_the_patient_not_on_membership() -> None:
    design = Design(150, 150, 2, 0.3)
    data = records(design, rng())
    language, classifier = ignorant_targets(data, rng())
    assert language.scorer is not None
    assert classifier.label_scorer is not None
    losses = language.scorer.token_stats(data.prompts, data.responses).nll()
    assert np.corrcoef(losses.reshape(-1, 2).T)[0, 1] > 0.3
    assert 0.4 < roc_auc_score(design.member, losses) < 0.6
    assert 0.4 < roc_auc_score(design.member, classifier.label_scorer.predict_proba(data.texts)[:, 1]) < 0.6


def test_other_implementations_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validity_agreement, "DRAWS", 5)
    monkeypatch.setattr(validity_agreement, "PERMUTATIONS", 4000)
    for found in validity_agreement.agreements(rng()):
        assert found.largest is not None or "not installed" in found.reason
        if found.largest is not None:
            # 4,000 permutations spread by 0.008; the others by rounding
            assert found.largest <= (0.05 if found.number == "permutation p-value" else found.allowed)


def test_one_json_object_comes_last(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(validity, "PARTS", (canaries,))
    monkeypatch.setattr(validity_agreement, "DRAWS", 2)
    monkeypatch.setattr(validity_agreement, "PERMUTATIONS", 200)
    monkeypatch.setattr(sys, "argv", ["validity", "--runs", "20", "--seed", "3"])
    validity.main()
    printed = capsys.readouterr().out.strip().splitlines()
    found = json.loads(printed[-1])
    assert (found["runs"], found["seed"]) == (20, 3)
    assert found["false_alarms"][0]["what"] == "canary: p_value"
    assert found["coverage"] == []
    assert any(line.startswith("| canary: p_value | noise, 60 canaries |") for line in printed)
