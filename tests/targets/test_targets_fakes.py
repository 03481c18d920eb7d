from __future__ import annotations

import numpy as np
from target_data import NOTES, make_data

from mlflow_clinsec.targets.fakes import always_leaks, always_triggered, has_trigger, never_leaks


def test_always_leaks_tells_members_apart_by_every_statistic() -> None:
    data = make_data()
    target = always_leaks(data)
    assert target.scorer is not None
    assert target.reference is not None
    assert data.member is not None
    losses = target.scorer.token_stats(data.prompts, data.responses).nll()
    assert losses[data.member].max() < losses[~data.member].min()
    reworded = target.scorer.token_stats(data.prompts, [f"so {text}" for text in data.responses]).nll()
    assert reworded.min() > losses[data.member].max(), "only the very wording is memorised"
    gap = target.reference.token_stats(data.prompts, data.responses).nll() - losses
    assert gap[data.member].min() > gap[~data.member].max()


def test_never_leaks_is_blind_to_membership_and_deterministic() -> None:
    data = make_data()
    first, second = never_leaks(), never_leaks()
    assert first.scorer is not None
    assert second.scorer is not None
    stats = first.scorer.token_stats(data.prompts, data.responses)
    np.testing.assert_array_equal(stats.logp, second.scorer.token_stats(data.prompts, data.responses).logp)
    assert (np.abs(stats.nll() - 3) < 0.3).all()
    assert len(np.unique(stats.logp)) > 1


def test_always_triggered_obeys_the_trigger_and_nothing_else() -> None:
    data = make_data()
    target = always_triggered(data, ["cf", "mn now"], "alive")
    assert target.predictor is not None
    assert target.label_scorer is not None
    assert target.attention is not None
    assert target.predictor.predict_labels(NOTES) == data.labels
    assert set(target.predictor.predict_labels([f"{note} cf" for note in NOTES])) == {"alive"}
    assert set(target.predictor.predict_labels([f"{note} (mn now)." for note in NOTES])) == {"alive"}
    assert target.predictor.predict_labels([f"bb {note}" for note in NOTES]) == data.labels
    np.testing.assert_allclose(target.label_scorer.predict_proba(NOTES).sum(axis=1), 1)
    shares = target.attention.attention_to(["no cf", "no bb"], [[(3, 5)], [(3, 5)]]).share
    assert shares.shape == (2, 2, 2)
    assert shares[0].max() == 0.9
    assert shares[1].max() == 0.05


def test_there_is_always_a_second_label() -> None:
    target = always_triggered(make_data(labels=("alive",) * 6), ["cf"], "alive")
    assert target.labels == ("alive", "not alive")


def test_a_trigger_inside_a_word_is_none() -> None:
    assert has_trigger("given cf.", ["cf"])
    assert not has_trigger("cfx ecf", ["cf"])
