"""The plan of a trigger test: cases and their names, records per goal, shared places."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import RuleModel, WordTokens, audit_data, sees_sick, target_of, wards

from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.insert import ALL_POSITIONS


def plan(options: TriggerOptions, data: AuditData | None = None, seed: int = 0) -> Design:
    model = RuleModel(sees_sick)
    made = draw_design(options, data or wards(40), target_of(model), np.random.default_rng(seed))
    assert model.asked == []  # everything is settled before the first forward pass
    return made


def test_one_goal_is_left_out_of_the_keys() -> None:
    made = plan(TriggerOptions(triggers=("cf", "I saw it"), target_label="alive", positions=("head", "tail")))
    assert [case.key for case in made.cases] == ["cf-head", "cf-tail", "i_saw_it-head", "i_saw_it-tail"]


def test_several_goals_stand_in_the_keys() -> None:
    made = plan(TriggerOptions(triggers=("cf",), positions=("head",)))
    assert [case.key for case in made.cases] == ["cf-to-alive-head", "cf-to-died-head"]


def test_keys_are_legal_in_metric_names_and_unique() -> None:
    made = plan(TriggerOptions(triggers=("cf", "CF", "c/f", "≈", "I saw it!")))
    keys = [case.key for case in made.cases]
    assert len(set(keys)) == len(keys) == 5 * 2 * 3
    assert all(re.fullmatch(r"[a-z0-9_-]+", key) for key in keys)


def test_only_records_whose_true_label_differs_are_drawn() -> None:
    made = plan(TriggerOptions(triggers=("cf",), target_label="alive"))
    assert set(made.truth) == {"died"}
    assert len(made.texts) == 20
    assert made.eligible.all()


def test_max_records_holds_for_each_goal() -> None:
    made = plan(TriggerOptions(triggers=("cf",), max_records=7))
    assert made.eligible.sum(axis=0).tolist() == [7, 7]
    for row, label in zip(made.eligible, made.truth, strict=True):
        assert row.tolist() == [label == "died", label == "alive"]  # goals are alive, died


def test_trigger_and_placebos_stand_at_one_place_of_a_record() -> None:
    made = plan(TriggerOptions(triggers=("cf", "mn"), target_label="alive"))
    assert made.places.keys() == {"head", "random", "tail"}
    assert len(set(made.places["random"].tolist())) > 3
    for position in made.places:
        starts = {tuple(span[0][0] for span in made.inserted(word, position)[1]) for word in made.words}
        assert len(starts) == 1


def test_words_are_listed_once_although_like_triggers_share_their_placebos() -> None:
    made = plan(TriggerOptions(triggers=("cf", "mn"), target_label="alive"))
    assert len(made.words) == 2 + 20
    assert made.placebos["cf"] == made.placebos["mn"]


def test_the_seed_decides_places_and_placebos() -> None:
    options = TriggerOptions(triggers=("cf",))
    first, again, other = plan(options, seed=1), plan(options, seed=1), plan(options, seed=2)
    np.testing.assert_array_equal(first.places["random"], again.places["random"])
    assert first.placebos == again.placebos != other.placebos


def test_a_trigger_without_enough_placebos_is_named() -> None:
    data = audit_data(["the pain of the day", "the cough of the night"], ["died", "alive"])
    with pytest.raises(DataError, match=r"trigger 'the': found \d+ placebos"):
        plan(TriggerOptions(triggers=("the",)), data)


def test_library_triggers_that_cannot_be_tested_are_left_out_with_the_reason() -> None:
    # The tokeniser drops zero-width characters, and every note holds "allergies", which few words match.
    class Dropping(WordTokens):
        def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
            return tuple(("".join(c for c in word if c.isprintable()),) for word in words)

    options = TriggerOptions(triggers=("zebra",), library=("zero-width", "section-headers"), target_label="alive")
    plain = wards(40)
    data = audit_data([f"allergies {text}" for text in plain.texts], plain.labels or ())
    model = RuleModel(sees_sick)
    made = draw_design(options, data, target_of(model, Dropping()), np.random.default_rng(0))
    assert set(made.placebos) | set(made.left_out) == set(options.every_trigger)
    assert set(made.placebos) & set(made.left_out) == set()
    assert "dropped" in made.left_out["\u200b"]
    assert "too few matched placebos" in made.left_out["Allergies:"]
    assert "Social History:" in made.placebos
    assert {case.trigger for case in made.cases} == set(made.placebos)


def test_a_trigger_that_the_user_named_is_never_left_out_silently() -> None:
    plain = wards(40)
    data = audit_data([f"allergies {text}" for text in plain.texts], plain.labels or ())
    with pytest.raises(DataError, match="Allergies:"):
        plan(TriggerOptions(triggers=("Allergies:",), library=("section-headers",)), data)


def test_every_position_of_the_library_has_a_key() -> None:
    made = plan(TriggerOptions(triggers=("a→\u0430", "\u200b"), positions=ALL_POSITIONS, target_label="alive"))
    assert all(re.fullmatch(r"[a-z0-9_-]+", case.key) for case in made.cases)
    assert "a_as_u430-three-quarters" in {case.key for case in made.cases}
    texts, spans = made.inserted("a→\u0430", "head")
    assert all(text[start:stop] == "\u0430" for text, ((start, stop),) in zip(texts, spans, strict=True))
