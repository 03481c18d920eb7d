"""ReCaLL and Con-ReCaLL: scores by hand, and that nobody who lent a record is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fixtures_privacy import Replay, records

from mlflow_clinsec.attack import Attack, run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError, NotApplicableError
from mlflow_clinsec.privacy.recall import (
    CON_RECALL,
    RECALL,
    ConRecallOptions,
    RecallOptions,
    draw_shots,
    score,
    score_contrast,
)
from mlflow_clinsec.results import Status
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target, TokenStats

Shots = Sequence[tuple[str, str]]


class InContext(Replay):
    """Alone, each text replays its row; behind shots, each token loses ``step(text, shots)`` nats more."""

    def __init__(self, rows: dict[str, list[float]], step: Callable[[str, Shots], float], keep: int = 99) -> None:
        super().__init__(rows)
        self.step, self.keep = step, keep
        self.asked: list[Shots] = []

    def stats_after(self, shots: Shots, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        self.asked.append(shots)
        lower = {t: [x - self.step(t, shots) for x in self.rows[t][: self.keep]] for t in responses}
        return Replay(lower).token_stats(prompts, responses)


def target_of(scorer: InContext) -> Target:
    return Target("hand", "causal-lm", scorer=scorer, context_scorer=scorer)


def wards(n_patients: int = 40, notes: int = 2) -> AuditData:
    """Patients with ``notes`` notes each, every other one a member; a text names its side, patient and note."""
    group = np.repeat(np.arange(n_patients), notes)
    member = group % 2 == 0
    texts = [f"{'m' if flag else 'n'}{g}.{i % notes}" for i, (g, flag) in enumerate(zip(group, member, strict=True))]
    plain = records(texts, member.tolist())
    return AuditData(plain.prompts, plain.responses, group, grouped=True, member=member)


DATA = wards()
ROWS = {text: [-1.0, -2.0, -3.0] for text in DATA.responses}


def test_recall_by_hand() -> None:
    # alone, every text loses 2 nats a token; behind the shots members lose 2 + 1, the others 2 + 0.5
    scorer = InContext(ROWS, lambda text, shots: 1.0 if text.startswith("m") else 0.5)
    found = score(DATA, target_of(scorer), RecallOptions(shots=3), np.random.default_rng(0))
    expected = np.where([text.startswith("m") for text in DATA.responses], 1.5, 1.25)
    judged = np.isfinite(found)
    np.testing.assert_allclose(found[judged], expected[judged])


def test_con_recall_by_hand() -> None:
    # behind strangers every text loses 3 nats a token, behind members 2.5: (3 - 0.4 * 2.5) / 2
    scorer = InContext(ROWS, lambda text, shots: 0.5 if shots[0][1].startswith("m") else 1.0)
    found = score_contrast(DATA, target_of(scorer), ConRecallOptions(gamma=0.4), np.random.default_rng(0))
    np.testing.assert_allclose(found[np.isfinite(found)], 1.0)


def test_the_same_tokens_are_compared_where_a_record_is_cut() -> None:
    # two of three tokens fit: alone they lose (1 + 2) / 2, behind the shots one nat a token more
    scorer = InContext(ROWS, lambda text, shots: 1.0, keep=2)
    found = score(DATA, target_of(scorer), RecallOptions(), np.random.default_rng(0))
    np.testing.assert_allclose(found[np.isfinite(found)], 2.5 / 1.5)


@pytest.mark.parametrize("seed", range(5))
def test_all_records_of_a_lender_are_left_out_and_no_one_elses(seed: int) -> None:
    scorer = InContext(ROWS, lambda text, shots: 1.0)
    found = score(DATA, target_of(scorer), RecallOptions(shots=4), np.random.default_rng(seed))
    [shots] = scorer.asked
    lenders = {text.split(".")[0] for _, text in shots}
    assert len(lenders) == len(shots) == 4
    assert all(name.startswith("n") for name in lenders)
    left_out = [text for text, value in zip(DATA.responses, found, strict=True) if np.isnan(value)]
    assert sorted(left_out) == sorted(text for text in DATA.responses if text.split(".")[0] in lenders)


def test_con_recall_leaves_lenders_of_both_sides_out() -> None:
    scorer = InContext(ROWS, lambda text, shots: 1.0)
    found = score_contrast(DATA, target_of(scorer), ConRecallOptions(shots=2), np.random.default_rng(1))
    assert {text[0] for _, text in scorer.asked[0]} == {"n"}
    assert {text[0] for _, text in scorer.asked[1]} == {"m"}
    assert np.isnan(found).sum() == 8
    assert DATA.member is not None
    assert np.isnan(found[DATA.member]).sum() == 4


def test_a_patient_on_both_sides_is_left_out_whole() -> None:
    member = np.array([True, False] * 4)
    data = AuditData(("",) * 8, tuple("abcdefgh"), np.repeat(np.arange(4), 2), grouped=True, member=member)
    scorer = InContext({text: [-1.0] for text in "abcdefgh"}, lambda text, shots: 1.0)
    found = score(data, target_of(scorer), RecallOptions(), np.random.default_rng(0))
    assert np.isnan(found.reshape(4, 2)).all(axis=1).sum() == 1
    assert np.isnan(found).sum() == 2


def test_no_more_than_a_quarter_of_the_patients_lend() -> None:
    assert len(draw_shots(wards(20), False, 100, np.random.default_rng(0))) == 2
    with pytest.raises(NotApplicableError, match=r"at least 4 patients among the members.*there are 3"):
        draw_shots(wards(6), True, 1, np.random.default_rng(0))


def test_the_draw_follows_the_generator() -> None:
    draws = [tuple(draw_shots(DATA, False, 5, np.random.default_rng(seed))) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_text_known_by_heart_keeps_a_finite_order() -> None:
    # members are known by heart; behind strangers they lose 0.001 to 0.1 nats: tiny, and yet far above any other ratio
    rows = {text: ([0.0] if text.startswith("m") else [-2.0]) for text in DATA.responses}
    places = {text: i for i, text in enumerate(DATA.responses)}
    scorer = InContext(rows, lambda text, shots: 0.001 * (1 + places[text]) if text.startswith("m") else 0.5)
    found = score(DATA, target_of(scorer), RecallOptions(), np.random.default_rng(0))
    assert DATA.member is not None
    member, other = found[DATA.member], found[~DATA.member & np.isfinite(found)]
    assert np.isfinite(member).all()
    assert len(np.unique(member)) == len(member)
    assert member.min() > other.max()


@pytest.mark.parametrize("attack", [RECALL, CON_RECALL])
def test_a_target_that_cannot_score_in_context_is_skipped(attack: Attack) -> None:
    result = run_attack(attack, DATA, Target("x", "causal-lm", scorer=Replay(ROWS)), np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "behind other records" in result.reason
    assert not attack.default


@pytest.mark.parametrize("given", [{"shots": 0}, {"shots": 2.5}, {"gamma": -0.1}, {"gamma": 2}, {"prefix": 3}])
def test_bad_options_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.options\.con_recall"):
        parse(ConRecallOptions, given, "privacy.options.con_recall")
