"""Calibrated log-ratios: expectations against textbook loops, and that they take off what is no leak."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fixtures_privacy import language_model, records
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy import calibrated, ez, log_ratio
from mlflow_clinsec.privacy.calibrated import EZ_CALIBRATED, LOG_RATIO_CALIBRATED, beyond_difficulty, beyond_token
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.protocols import Target, TokenStats

Score = Callable[..., Any]
SCORES = [calibrated.score, calibrated.score_error_zone]


class Fixed:
    """Answers with the same statistics whatever it is asked."""

    def __init__(self, stats: TokenStats) -> None:
        self.stats = stats

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        return self.stats


@dataclasses.dataclass(frozen=True)
class World:
    """Records of 20 tokens each, two to a patient, drawn from 30 words.

    Each word has a gain that fine-tuning gives it in every text; members gain ``leak`` nats a token on top.
    """

    leak: float
    records: int = 120
    domain: float = 2.0
    seed: int = 0

    def build(self) -> tuple[AuditData, TokenStats, TokenStats]:
        rng = np.random.default_rng(self.seed)
        group = np.repeat(np.arange(self.records // 2), 2)
        member = group % 2 == 0
        offsets = np.arange(self.records + 1) * 20
        ids = rng.integers(0, 30, offsets[-1])
        hard = np.repeat(rng.uniform(2, 6, self.records), 20)
        reference = -hard + rng.normal(0, 0.5, offsets[-1])
        gains = self.domain * rng.uniform(0, 1, 30)[ids] * (hard / 4) + rng.normal(0, 0.4, offsets[-1])
        target = reference + gains + self.leak * np.repeat(member, 20)
        data = AuditData(("",) * self.records, ("x",) * self.records, group, grouped=True, member=member)
        return data, TokenStats(offsets, target, token_ids=ids), TokenStats(offsets, reference, token_ids=ids)


def scored(score: Score, world: World, **changes: Any) -> np.ndarray:
    data, target, reference = world.build()
    target = dataclasses.replace(target, **changes)
    lm = Target("x", "causal-lm", scorer=Fixed(target), references=(Fixed(reference),))
    return np.asarray(score(data, lm, MembershipOptions(), np.random.default_rng(0)))


def test_a_tokens_expectation_is_its_mean_in_other_patients_records() -> None:
    data, target, reference = World(leak=0.3, records=40).build()
    assert target.token_ids is not None
    ratio = target.logp - reference.logp
    found = beyond_token(target, ratio, data.group)
    patient = np.repeat(data.group, target.counts)
    seen = defaultdict(list)
    for i, token in enumerate(target.token_ids):
        seen[int(token)].append(i)
    for i, token in enumerate(target.token_ids):
        others = [ratio[j] for j in seen[int(token)] if patient[j] != patient[i]]
        expected = (sum(others) + 5 * ratio.mean()) / (len(others) + 5)
        assert found[i] == pytest.approx(ratio[i] - expected)


def test_a_texts_expectation_is_the_least_squares_fit() -> None:
    _, target, reference = World(leak=0.3).build()
    counts = np.random.default_rng(1).integers(5, 20, len(target))
    kept = np.concatenate([np.arange(a, a + n) for a, n in zip(target.offsets[:-1], counts, strict=True)])
    stats = TokenStats(np.concatenate([[0], np.cumsum(counts)]), target.logp[kept])
    other = TokenStats(stats.offsets, reference.logp[kept])
    scores = np.random.default_rng(2).normal(size=len(stats))
    table = np.column_stack([other.nll(), other.nll() ** 2, np.log(counts)])
    expected = scores - LinearRegression().fit(table, scores).predict(table)
    np.testing.assert_allclose(beyond_difficulty(scores, stats, stats.logp - other.logp), expected, atol=1e-8)


@pytest.mark.parametrize("score", SCORES)
def test_membership_is_never_asked(score: Score) -> None:
    data, target, reference = World(leak=0.5).build()
    assert data.member is not None
    lm = Target("x", "causal-lm", scorer=Fixed(target), references=(Fixed(reference),))
    flipped = dataclasses.replace(data, member=~data.member)
    both = [score(item, lm, MembershipOptions(), np.random.default_rng(0)) for item in (data, flipped)]
    np.testing.assert_array_equal(*both)


def test_a_gain_that_all_tokens_share_changes_nothing() -> None:
    world = World(leak=0.3)
    _, target, _ = world.build()
    plain = scored(calibrated.score, world)
    np.testing.assert_allclose(scored(calibrated.score, world, logp=target.logp + 1.5), plain, atol=1e-9)


@pytest.mark.parametrize(
    ("score", "plain"), [(calibrated.score, log_ratio.score), (calibrated.score_error_zone, ez.score)]
)
def test_what_the_domain_explains_is_taken_off(score: Score, plain: Score) -> None:
    # words gain 0 to 2 nats, more in hard texts; members gain 0.3 on each token
    world = World(leak=0.3)
    member = world.build()[0].member
    before, after = (roc_auc_score(member, scored(function, world)) for function in (plain, score))
    assert before < 0.8
    assert after > 0.9


@pytest.mark.parametrize("score", SCORES)
def test_nothing_is_found_where_nothing_leaks(score: Score) -> None:
    aucs = [
        roc_auc_score(World(0.0, seed=seed).build()[0].member, scored(score, World(0.0, seed=seed)))
        for seed in range(40)
    ]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("score", SCORES)
def test_memorised_text_does_not_collapse(score: Score) -> None:
    # members are known by heart: probability 1, each token the likeliest
    world = World(leak=0.0)
    data, target, _ = world.build()
    assert data.member is not None
    by_heart = np.repeat(data.member, 20)
    logp = np.where(by_heart, 0.0, target.logp)
    scores = scored(score, world, logp=logp, top=np.where(by_heart, 0.0, -0.3))
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == len(scores)
    assert roc_auc_score(data.member, scores) > 0.99


def test_tokens_that_are_not_told_apart_leave_the_text_to_be_calibrated() -> None:
    data, target, reference = World(leak=0.3).build()
    unnamed = dataclasses.replace(target, token_ids=None)
    ratio = target.logp - reference.logp
    np.testing.assert_array_equal(beyond_token(unnamed, ratio, data.group), ratio)


def test_a_text_without_tokens_has_no_score_and_moves_no_other() -> None:
    _, target, reference = World(leak=0.3).build()
    ratio = target.logp - reference.logp
    longer = TokenStats(np.append(target.offsets, target.offsets[-1]), target.logp)
    scores = target.text_means(ratio)
    with_empty = beyond_difficulty(np.append(scores, np.nan), longer, ratio)
    assert np.isnan(with_empty[-1])
    np.testing.assert_allclose(with_empty[:-1], beyond_difficulty(scores, target, ratio))


def test_too_few_records_are_refused() -> None:
    _, target, reference = World(leak=0.3, records=38).build()
    with pytest.raises(NotApplicableError, match=r"at least 40 records.*there are 38"):
        beyond_difficulty(target.nll(), target, target.logp - reference.logp)


@pytest.mark.parametrize("attack", [LOG_RATIO_CALIBRATED, EZ_CALIBRATED])
def test_without_a_reference_they_are_skipped(attack: Any) -> None:
    result = run_attack(
        attack, records(["a", "b"], [True, False]), language_model({"a": [-1.0], "b": [-2.0]}), np.random.default_rng(0)
    )
    assert result.status is Status.SKIPPED
    assert "reference" in result.reason
