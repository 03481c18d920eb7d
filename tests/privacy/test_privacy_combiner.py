"""The combiner: it judges nobody whom it learned from, gains from many scores and finds nothing in noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fixtures_privacy import Replay, language_model, records
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError, NotApplicableError
from mlflow_clinsec.privacy import loss
from mlflow_clinsec.privacy.combiner import COMBINER, CombinerOptions, learned_from, score, weigh
from mlflow_clinsec.privacy.token_features import COLUMNS, token_features
from mlflow_clinsec.results import Status
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target


def patients(n_patients: int, notes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Member flags and patients of ``notes`` records each, every other patient a member."""
    group = np.repeat(np.arange(n_patients), notes)
    return group % 2 == 0, group


def test_weights_equal_scikit_learns_own_pipeline() -> None:
    rng = np.random.default_rng(0)
    member, group = patients(120)
    table = rng.normal(size=(120, 4)) + member[:, None] * [0.5, 0.0, 1.0, -0.5]
    learned = group % 3 == 0
    own = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", max_iter=1000))
    own.fit(table[learned], member[learned])
    found = weigh(table, member, learned, 0.3)
    assert np.isnan(found[learned]).all()
    np.testing.assert_allclose(found[~learned], own.decision_function(table[~learned]), atol=1e-6)


def test_no_judged_record_moves_a_weight() -> None:
    rng = np.random.default_rng(1)
    member, group = patients(90)
    table, learned = rng.normal(size=(90, 3)), group % 3 == 0
    judged = np.flatnonzero(~learned)
    changed = table.copy()
    changed[judged[1:]] += rng.normal(size=(len(judged) - 1, 3))
    flipped = np.where(learned, member, ~member)
    before, after = weigh(table, member, learned, 1.0), weigh(changed, flipped, learned, 1.0)
    assert before[judged[0]] == after[judged[0]]


@pytest.mark.parametrize("seed", range(4))
def test_a_patient_is_learned_from_whole_or_judged_whole(seed: int) -> None:
    member, group = patients(90, notes=3)
    learned = learned_from(member, group, 3, np.random.default_rng(seed))
    assert (learned.reshape(90, 3) == learned.reshape(90, 3)[:, :1]).all()
    assert learned[member].sum() == learned[~member].sum() == 45


def test_pure_noise_gives_one_half_and_no_more_alarms_than_the_level() -> None:
    # 300 audits of noise, patients of 2 like records: AUC 0.5 on average, and the plain rank test's spread
    member, group = patients(120, notes=2)
    aucs = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        table = (rng.normal(size=(120, 1)) + 0.5 * rng.normal(size=(120, 8)))[group]
        learned = learned_from(member, group, 3, rng)
        found = weigh(table, member, learned, 0.1)[~learned]
        aucs.append(roc_auc_score(member[~learned], found))
    judged = 40  # patients a side: two records that are the same count once
    spread = math.sqrt((2 * judged + 1) / (12 * judged**2))
    assert np.mean(aucs) == pytest.approx(0.5, abs=3 * spread / math.sqrt(300))
    alarms = int((np.array(aucs) > 0.5 + 1.645 * spread).sum())
    assert alarms <= binom.ppf(0.999, 300, 0.05)


def test_a_score_that_a_record_lacks_counts_as_average() -> None:
    rng = np.random.default_rng(2)
    member, group = patients(90)
    table, learned = rng.normal(size=(90, 3)) + member[:, None], group % 3 == 0
    judged = int(np.flatnonzero(~learned)[0])
    average = table.copy()
    average[judged, 1] = table[learned, 1].mean()
    table[judged, 1] = np.nan
    assert weigh(table, member, learned, 1.0)[judged] == pytest.approx(weigh(average, member, learned, 1.0)[judged])
    table[judged] = np.nan
    assert math.isnan(weigh(table, member, learned, 1.0)[judged])


def test_a_column_that_says_nothing_is_harmless() -> None:
    rng = np.random.default_rng(3)
    member, group = patients(90)
    table, learned = rng.normal(size=(90, 2)), group % 3 == 0
    idle = np.column_stack([table, np.full(90, np.nan), np.full(90, 7.0), np.full(90, np.inf)])
    np.testing.assert_allclose(weigh(idle, member, learned, 1.0), weigh(table, member, learned, 1.0))


def corpus(n_patients: int = 120, length: int = 24) -> tuple[AuditData, Target]:
    """Texts whose members gain a little on every token over a reference, on top of what the text itself costs."""
    rng = np.random.default_rng(4)
    member, _ = patients(n_patients)
    texts = [f"t{i}" for i in range(n_patients)]
    reference = {text: -rng.gamma(2.0, 1.0, length) - 1 for text in texts}
    gains = rng.normal(0.5, 0.7, (n_patients, length)) + 0.25 * member[:, None]
    rows = {text: np.minimum(reference[text] + gain, -1e-3) for text, gain in zip(texts, gains, strict=True)}

    def plain(table: dict[str, np.ndarray]) -> dict[str, list[float]]:
        return {text: row.tolist() for text, row in table.items()}

    return records(texts, member.tolist()), language_model(plain(rows), plain(reference))


def test_it_sees_every_column_that_the_target_allows() -> None:
    data, target = corpus(40)
    without_rewrites = [attack.name for attack, _, _ in COLUMNS if "paraphrases" not in attack.needs]
    assert token_features(data, target, np.random.default_rng(0)).shape == (40, len(without_rewrites))
    alone = Target("x", "causal-lm", scorer=Replay({t: [-1.0, -2.0] for t in data.responses}, spread=None))
    # no reference, and no next-token distribution for Min-K%++: loss, zlib and Min-K% at four shares remain
    assert token_features(data, alone, np.random.default_rng(0)).shape == (40, 6)


def test_no_column_is_blind_to_the_model() -> None:
    assert all("scorer" in attack.requires for attack, _, _ in COLUMNS)


def test_it_finds_members_and_is_judged_on_others_only() -> None:
    data, target = corpus()
    result = run_attack(COMBINER, data, target, np.random.default_rng(0))
    assert result.status is Status.OK
    assert result.values["coverage"] == pytest.approx(2 / 3)
    assert result.scores is not None
    assert data.member is not None
    judged = np.isfinite(result.scores)
    losses = loss.score(data, target, None, np.random.default_rng(0))
    loss_alone = roc_auc_score(data.member[judged], losses[judged])
    assert result.estimates["auc"].value > loss_alone + 0.1


def test_the_same_generator_gives_the_same_scores() -> None:
    data, target = corpus()
    first, second = (score(data, target, CombinerOptions(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_too_few_patients_are_refused_with_the_number_needed() -> None:
    member, group = patients(58)
    with pytest.raises(NotApplicableError, match=r"at least 30 patients on each side.*there are 29"):
        learned_from(member, group, 3, np.random.default_rng(0))


@pytest.mark.parametrize("given", [{"one_in": 1}, {"one_in": 11}, {"strength": 0}, {"strength": "weak"}, {"folds": 5}])
def test_bad_options_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.options\.combiner"):
        parse(CombinerOptions, given, "privacy.options.combiner")
