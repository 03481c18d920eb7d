"""Window-based comparison and error zone, against counts by hand and textbook loops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from fixtures_privacy import Replay, language_model, records
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import Attack, run_attack
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.privacy import ez, wbc
from mlflow_clinsec.privacy.ez import EZ
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions
from mlflow_clinsec.privacy.wbc import WBC, WindowOptions, share_of_votes
from mlflow_clinsec.results import Status
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target, TokenStats

RNG = np.random.default_rng(0)
RATIOS = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=1, max_size=60)
PAPER = WindowOptions().windows


def of_ratio(*rows: Sequence[float]) -> tuple[Target, list[str]]:
    """A target whose d per token is given: the reference gives each token -20."""
    texts = [f"t{i}" for i in range(len(rows))]
    scored = {text: [d - 20.0 for d in row] for text, row in zip(texts, rows, strict=True)}
    return language_model(scored, {text: [-20.0] * len(row) for text, row in zip(texts, rows, strict=True)}), texts


def wbc_scores(*rows: Sequence[float], windows: tuple[int, ...] = PAPER) -> FloatArray:
    target, texts = of_ratio(*rows)
    data = records(texts, [i % 2 == 0 for i in range(len(texts))])
    return wbc.score(data, target, WindowOptions(windows=windows), RNG)


def test_wbc_by_hand() -> None:
    # windows of 2: sums 1, -1, -1, 2, of which two are above 0; windows of 3: 0, -1, 1, of which one is
    [found] = wbc_scores([1.0, 0.0, -1.0, 0.0, 2.0], windows=(2, 3))
    assert found == pytest.approx((2 / 4 + 1 / 3) / 2, abs=1e-8)


def test_wbc_takes_a_short_text_as_one_window() -> None:
    assert wbc_scores([1.0, -0.5], [-1.0, 0.5]) == pytest.approx([1.0, 0.0], abs=1e-8)


@given(RATIOS)
@settings(max_examples=60, deadline=None)
def test_wbc_equals_a_double_loop(ratio: list[float]) -> None:
    shares = []
    for window in PAPER:
        size = min(window, len(ratio))
        # sums as differences of running totals, since a sum that is 0 on paper may have either sign in floats
        totals = [0.0, *np.cumsum(ratio).tolist()]
        votes = [totals[i + size] > totals[i] for i in range(len(ratio) - size + 1)]
        shares.append(sum(votes) / len(votes))
    assert share_of_votes(np.array(ratio), PAPER) == pytest.approx(sum(shares) / len(shares), abs=1e-8)


@given(RATIOS, st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_wbc_asks_for_signs_only_and_rises_with_every_token(ratio: list[float], factor: float) -> None:
    row = np.array(ratio)
    assert share_of_votes(row * 2.0**7, PAPER) == pytest.approx(share_of_votes(row, PAPER), abs=1e-8)
    assert share_of_votes(row + factor, PAPER) >= share_of_votes(row, PAPER) - 1e-12


def test_wbc_settles_ties_by_the_mean() -> None:
    weak, strong = wbc_scores([0.1] * 8, [0.9] * 8)
    assert weak < strong
    assert strong - weak < 1e-8


@pytest.mark.parametrize("windows", [[], [0], [2, -1], "3", [2.5]])
def test_wbc_refuses_bad_windows(windows: object) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.options\.wbc"):
        parse(WindowOptions, {"windows": windows}, "privacy.options.wbc")


class Shown(Replay):
    """Also shows each place's likeliest token: the scored one where ``right`` is set, one of -0.5 nats elsewhere."""

    def __init__(self, rows: Mapping[str, Sequence[float]], right: Mapping[str, Sequence[bool]]) -> None:
        super().__init__(rows)
        self.right = right

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        stats = super().token_stats(prompts, responses)
        right = np.concatenate([np.asarray(self.right[text], dtype=bool) for text in responses])
        top = np.where(right, stats.logp, -0.5)
        return TokenStats(stats.offsets, stats.logp, stats.mean, stats.std, stats.token_ids, top=top)


def ez_scores(rows: Sequence[Sequence[float]], right: Sequence[Sequence[bool]]) -> FloatArray:
    target, texts = of_ratio(*rows)
    assert isinstance(target.scorer, Replay)
    shown = Shown(target.scorer.rows, dict(zip(texts, right, strict=True)))
    target = Target("hand", "causal-lm", scorer=shown, references=target.references)
    data = records(texts, [i % 2 == 0 for i in range(len(texts))])
    return ez.score(data, target, MembershipOptions(), RNG)


def test_ez_by_hand() -> None:
    # errors at the first three tokens: P = 2 + 1, N = 0.5; the token got right adds 5% of its 4 to P
    [found] = ez_scores([[2.0, 1.0, -0.5, 4.0]], [[False, False, False, True]])
    assert found == pytest.approx(math.log((3.2 + 1e-3) / (0.5 + 1e-3)))


def test_ez_takes_a_probability_under_one_half_for_an_error_where_the_likeliest_token_is_hidden() -> None:
    stats = TokenStats(np.array([0, 3]), np.log([0.4, 0.6, 0.49]))
    assert ez.errors(stats).tolist() == [True, False, True]


def test_a_likeliest_token_is_no_error_for_being_rounded() -> None:
    stats = TokenStats(np.array([0, 2]), np.array([-0.70001, -0.8]), top=np.array([-0.7, -0.7]))
    assert ez.errors(stats).tolist() == [False, True]


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_ez_equals_a_textbook_loop(tokens: list[tuple[float, bool]]) -> None:
    gain = loss = 1e-3
    for d, right in tokens:
        weight = 0.05 if right else 1.0
        if d > 0:
            gain += weight * d
        else:
            loss -= weight * d
    [found] = ez_scores([[d for d, _ in tokens]], [[right for _, right in tokens]])
    assert found == pytest.approx(math.log(gain / loss), abs=1e-6)


def test_ez_of_memorised_text_does_not_collapse() -> None:
    # 40 memorised members of which no token is an error any more, 40 non-members with noise around no change:
    # P / N alone would be 0 / 0 for every member, and a 0 would put them below all non-members
    rng = np.random.default_rng(1)
    members = [list(rng.uniform(0.5, 5.0, 30)) for _ in range(40)]
    others = [list(rng.normal(0, 1, 30)) for _ in range(40)]
    right = [[True] * 30] * 40 + [[False] * 30] * 40
    scores = ez_scores(members + others, right)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 80
    assert roc_auc_score([1] * 40 + [0] * 40, scores) == 1.0


@given(RATIOS, st.integers(0, 59), st.floats(0.01, 3))
@settings(max_examples=60, deadline=None)
def test_ez_rises_with_every_token(ratio: list[float], place: int, rise: float) -> None:
    place %= len(ratio)
    lifted = [d + rise if i == place else d for i, d in enumerate(ratio)]
    right = [[i % 3 == 0 for i in range(len(ratio))]] * 2
    before, after = ez_scores([ratio, lifted], right)
    assert after >= before - 1e-12


@pytest.mark.parametrize("attack", [WBC, EZ])
def test_refusals_name_their_reason(attack: Attack) -> None:
    data = records(["a", "b"], [True, False])
    rows = {"a": [-1.0, -2.0], "b": [-1.0]}
    alone = run_attack(attack, data, language_model(rows), RNG)
    other = run_attack(attack, data, language_model(rows, {"a": [-1.0], "b": [-1.0]}), RNG)
    assert (alone.status, other.status) == (Status.SKIPPED, Status.SKIPPED)
    assert "reference" in alone.reason
    assert "token by token" in other.reason


@pytest.mark.parametrize("function", [wbc.score, ez.score])
def test_a_text_without_tokens_has_no_score(function: object) -> None:
    assert callable(function)
    target, _ = of_ratio([], [1.0, 2.0])
    empty, whole = function(records(["t0", "t1"], [True, False]), target, WindowOptions(), RNG)
    assert math.isnan(empty)
    assert math.isfinite(whole)
