"""The blind baseline: what it reads, what it finds, and that it finds nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.blind import BLIND, cross_fitted, widened
from mlflow_clinsec.privacy.blind_features import blind_features, dates, headings, shape, sizes
from mlflow_clinsec.privacy.judge import judge
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.results import Estimate
from mlflow_clinsec.targets.protocols import Target

WORDS = [f"w{i}" for i in range(60)]
GROUP = np.repeat(np.arange(100), 3)
MEMBER = GROUP % 2 == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Admitted 2019-03-14", {"year 2019", "month 3", "2019-03"}),
        ("seen 3/14/2019 and 4/2/20", {"month 3", "year 2019", "month 4", "year ..20"}),
        ("Since March, then Jan 5, not in may", {"month 3", "month 1"}),
        ("Sept. 12", {"month 9"}),
        ("creatinine 1.9, 120/80, 12345", set()),
        ("BP 140/90 at 13/45/19", set()),  # no month 13, no day 90
    ],
)
def test_dates(text: str, found: set[str]) -> None:
    assert set(dates(text)) == found


def test_headings_by_hand() -> None:
    text = "HISTORY:  cough\n  Physical  Exam: clear\nBP: stable"
    assert headings(text) == [
        "history",
        "physical exam",
        "bp",
        "history > physical exam",
        "physical exam > bp",
        "first history:",
        "last stable",
    ]
    assert headings("") == []


def test_shape_keeps_case_digits_and_punctuation_only() -> None:
    assert shape("BP 120/80, Stable.\nMcGee") == "A 0/0, a.\na"


def test_sizes_are_standardised_and_constant_ones_are_zero() -> None:
    found = sizes(["one two", "ONE TWO three four"])
    assert found.shape == (2, 6)
    assert found[:, 0].tolist() == pytest.approx([-1, 1])
    assert found[:, 1].tolist() == [0, 0]  # no line breaks in either


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_text_gives_finite_features(texts: list[str]) -> None:
    features = blind_features(texts)
    assert features.shape[0] == len(texts)
    assert np.isfinite(features.toarray()).all()


def _noise() -> list[str]:
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, 20)) for _ in MEMBER]


def _auc(texts: list[str]) -> float:
    return float(roc_auc_score(MEMBER, cross_fitted(texts, MEMBER, GROUP, np.random.default_rng(0))))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("{} 2019", "{} 2020"),  # years
        ("Plan: {}", "Assessment: {}"),  # headings
        ("{}.", "{}"),  # punctuation only
        ("{} extra extra extra extra", "{}"),  # length
    ],
)
def test_each_kind_of_difference_is_found(inside: str, outside: str) -> None:
    marked = [(inside if flag else outside).format(text) for text, flag in zip(_noise(), MEMBER, strict=True)]
    assert _auc(marked) > 0.95


def test_dates_are_found_where_no_two_texts_share_one() -> None:
    # Every day stands once: only the year that they share tells the sides apart.
    days = [f"{2018 if flag else 2021}-{1 + i % 12:02d}-{1 + i // 12:02d}" for i, flag in enumerate(MEMBER)]
    assert _auc([f"{text} seen {day}" for text, day in zip(_noise(), days, strict=True)]) > 0.9


def test_noise_centres_on_a_half() -> None:
    # Membership dealt anew, 30 times: cross-validation must not lean below chance, which would hide real differences.
    texts, rng = _noise()[:120], np.random.default_rng(1)
    found = []
    for _ in range(30):
        member = rng.permuted(np.arange(40) < 20)[GROUP[:120]]
        found.append(roc_auc_score(member, cross_fitted(texts, member, GROUP[:120], rng)))
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)  # standard error 0.01


def test_widened_by_hand() -> None:
    # 0.5 - sqrt(2) * 0.02 = 0.4717 and 0.5 + sqrt(2) * 0.04 = 0.5566; never past 0 or 1.
    found = widened(Estimate(0.5, 0.48, 0.54, 10, method="m"))
    assert (found.low, found.high) == pytest.approx((0.47172, 0.55657), abs=1e-5)
    assert "cross-fitting" in found.method
    edge = widened(Estimate(0.98, 0.5, 1.0, 10))
    assert edge.high == 1.0
    assert widened(Estimate(0.02, 0.0, 0.5, 10)).low == 0.0


def test_the_baselines_interval_is_wider_than_a_given_scores_and_it_has_no_p_value() -> None:
    texts = tuple(_noise())
    data = AuditData(("",) * len(texts), texts, GROUP, grouped=True, member=MEMBER)
    attack = BLIND.with_options(MembershipOptions(bootstrap=400, permutations=999))
    blind = run_attack(attack, data, Target("none", "function"), np.random.default_rng(0))
    assert blind.scores is not None
    assert blind.at_level is not None
    given_scores = judge(attack, blind.scores, data, np.random.default_rng(0))
    for metric in ("auc", "patient_auc"):
        ratio = (blind.estimates[metric].high - blind.estimates[metric].low) / (
            given_scores.estimates[metric].high - given_scores.estimates[metric].low
        )
        assert ratio == pytest.approx(np.sqrt(2), rel=0.1)
    assert blind.at_level("auc", 0.99).low < blind.estimates["auc"].low
    assert "p_value" not in blind.values
