from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from target_data import NOTES, make_data

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.errors import DataError, NotApplicableError, TargetError
from mlflow_clinsec.privacy.lira import LIRA
from mlflow_clinsec.privacy.log_ratio import LOG_RATIO
from mlflow_clinsec.privacy.rmia import RMIA
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.precomputed import collect_precomputed
from mlflow_clinsec.targets.replay import precomputed_target

TOKENS = [[-1.0, -3.0], [-2.0], [-1.0, -1.0, -4.0], [-5.0], [-0.5], []]
FRAME = pd.DataFrame(
    {
        "tokens": TOKENS,
        "loss": [2.0, 2.0, 2.0, 5.0, 0.5, 7.0],
        "n": [2, 1, 3, 1, 1, 4],
        "p": [0.1, 0.9, 0.2, 0.8, 0.3, 0.7],
        "q": [0.9, 0.1, 0.8, 0.2, 0.7, 0.3],
        "said": list("abcdef"),
        "r1": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "r2": [2.0, None, 3.0, 4.0, 5.0, 6.0],
    }
)
EMPTY = ("",) * 6


def target_of(columns: dict[str, Any], **parts: Any) -> Any:
    return precomputed_target(make_data(precomputed=collect_precomputed(FRAME, columns), **parts))


def test_token_columns_are_replayed_in_any_order() -> None:
    target = target_of({"token_logprobs": "tokens", "reference_token_logprobs": "tokens"})
    stats = target.scorer.token_stats(["", "", ""], [NOTES[2], NOTES[0], NOTES[2]])
    assert [row.tolist() for row in stats.rows(stats.logp)] == [TOKENS[2], TOKENS[0], TOKENS[2]]
    assert stats.mean is None
    assert np.isnan(target.reference.token_stats([""], [NOTES[5]]).nll()[0])
    assert target.precomputed
    assert target.kind == "precomputed"


def test_a_column_of_losses_serves_the_loss_and_refuses_the_tokens() -> None:
    stats = target_of({"nll": "loss"}).scorer.token_stats(EMPTY, NOTES)
    np.testing.assert_array_equal(stats.nll(), FRAME["loss"])
    with pytest.raises(NotApplicableError, match="n_tokens"):
        _ = stats.counts
    with pytest.raises(NotApplicableError, match="token by token"):
        stats.rows(stats.logp)
    with pytest.raises(NotApplicableError, match="token by token"):
        stats.text_means(stats.logp)


def test_token_counts_serve_attacks_on_totals() -> None:
    stats = target_of({"nll": "loss", "n_tokens": "n"}).scorer.token_stats(EMPTY, NOTES)
    assert stats.counts.tolist() == [2, 1, 3, 1, 1, 4]
    np.testing.assert_array_equal(stats.nll(), FRAME["loss"])
    with pytest.raises(NotApplicableError):
        stats.rows(stats.logp)


def test_other_texts_are_refused_by_count() -> None:
    target = target_of({"nll": "loss", "prediction": "said"})
    with pytest.raises(NotApplicableError, match="1 of 2 texts are others"):
        target.scorer.token_stats(["", "x"], [NOTES[0], NOTES[0]])
    with pytest.raises(NotApplicableError, match="1 of 1"):
        target.predictor.predict_labels(["cf " + NOTES[0]])


def test_classes_and_decisions() -> None:
    both = target_of({"probabilities": {"died": "p", "alive": "q"}, "prediction": "said"})
    assert both.labels == ("died", "alive")
    np.testing.assert_allclose(both.label_scorer.predict_proba(NOTES[:2]), [[0.1, 0.9], [0.9, 0.1]])
    assert both.predictor.predict_labels(NOTES[:2]) == ("a", "b")
    derived = target_of({"probabilities": {"died": "p", "alive": "q"}})
    assert derived.predictor.predict_labels(NOTES[:2]) == ("alive", "died")
    assert derived.scorer is None
    assert "no column nll" in derived.missing(["scorer"])


def test_losses_of_rewrites_follow_the_rewrite_columns() -> None:
    rewrites = tuple(tuple(f"{note} v{k}" for note in NOTES) for k in (1, 2))
    target = target_of({"token_logprobs": "tokens", "paraphrase_nll": ["r1", "r2"]}, ready_rewrites=rewrites)
    assert not target.precomputed, "it can score new text, as far as it was brought along"
    stats = target.scorer.token_stats(["", ""], [rewrites[0][3], rewrites[1][0]])
    assert stats.nll().tolist() == [4.0, 2.0]
    assert target.scorer.token_stats([""], [NOTES[3]]).nll().tolist() == [5.0]
    with pytest.raises(NotApplicableError, match="1 of 1"):
        target.scorer.token_stats([""], [rewrites[1][1]])
    with pytest.raises(DataError, match="2 columns of losses for 0 columns of rewrites"):
        target_of({"nll": "loss", "paraphrase_nll": ["r1", "r2"]})


def test_cut_data_keeps_its_columns_and_equal_texts_share_the_first() -> None:
    data = make_data(precomputed=collect_precomputed(FRAME, {"nll": "loss"}))
    kept = data.select(np.arange(6) >= 3)
    assert precomputed_target(kept).scorer.token_stats([""], [NOTES[3]]).nll().tolist() == [5.0]
    twice = make_data((*NOTES[:5], NOTES[0]), precomputed=data.precomputed)
    assert precomputed_target(twice).scorer.token_stats(["", ""], [NOTES[0], NOTES[0]]).nll().tolist() == [2.0, 2.0]


def test_each_column_is_a_reference_of_its_own() -> None:
    data = make_data(precomputed=collect_precomputed(FRAME, {"nll": "loss", "reference_nll": ["r1", "loss"]}))
    target = precomputed_target(data.select(np.arange(6) >= 2))
    found = [scorer.token_stats(EMPTY[:4], NOTES[2:]).nll().tolist() for scorer in target.references]
    assert found == [[3.0, 4.0, 5.0, 6.0], [2.0, 5.0, 0.5, 7.0]]
    columns = {
        "probabilities": {"died": "p", "alive": "q"},
        "reference_probabilities": [{"alive": "p", "died": "q"}, {"alive": "q", "died": "p"}],
    }
    classifier = target_of(columns)
    first, second = (scorer.predict_proba(NOTES[:1])[0].tolist() for scorer in classifier.label_references)
    assert (first, second) == ([0.9, 0.1], [0.1, 0.9])
    assert "no columns reference_probabilities" in target_of({"prediction": "said"}).missing(["label_reference"])


def test_offline_lira_and_rmia_work_from_columns() -> None:
    rng = np.random.default_rng(0)
    notes = tuple(f"note {i}" for i in range(80))
    frame = pd.DataFrame({"own": rng.uniform(1, 2, 80), "r1": rng.uniform(1, 2, 80), "r2": rng.uniform(1, 2, 80)})
    columns = collect_precomputed(frame, {"nll": "own", "reference_nll": ["r1", "r2"]})
    data = make_data(notes, precomputed=columns)
    for attack in (LIRA, RMIA):
        result = run_attack(attack, data, precomputed_target(data), np.random.default_rng(0))
        assert result.status is Status.OK
        assert result.values["coverage"] >= 0.7
    result = run_attack(LOG_RATIO, data, precomputed_target(data), np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "means only" in result.reason


def test_means_of_a_reference_are_not_taken_for_its_tokens() -> None:
    target = target_of({"token_logprobs": "tokens", "reference_nll": "loss", "n_tokens": "n"})
    data = make_data(NOTES[:5])
    result = run_attack(LOG_RATIO, data, target, np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "means only" in result.reason


def test_nothing_to_replay() -> None:
    with pytest.raises(TargetError, match="no precomputed column"):
        precomputed_target(make_data())
    with pytest.raises(TargetError, match="no precomputed column"):
        target_of({"reference_nll": "loss"})
