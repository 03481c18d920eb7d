"""Decisions of the model, with and without a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import LABELS, RuleModel, label_only, sees_sick, target_of

from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.protocols import FloatArray, Target


class ThreeWay:
    """Always the same probabilities: home .5, ward .2, dead .3."""

    labels = ("home", "ward", "dead")

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        return np.tile([0.5, 0.2, 0.3], (len(texts), 1))

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        return ("home",) * len(texts)


def three_way(threshold: float | None) -> np.ndarray:
    model = ThreeWay()
    target = Target("fake", "function", label_scorer=model, predictor=model)
    return Decider(target, ("home", "ward"), model.labels, threshold).decide(["x"])[0]


def test_without_a_threshold_the_model_decides() -> None:
    decider = Decider(label_only(RuleModel(sees_sick)), LABELS, LABELS)
    np.testing.assert_array_equal(decider.decide(["he is sick", "he is well"]), [[1, 1], [0, 0]])


def test_threshold_acts_on_the_complement_of_the_label_under_test() -> None:
    # P(not home) = .5 and P(not ward) = .8. At .5 both reach it: "dead" (.3 > .2) and "home" (.5 > .3) are
    # predicted. At .6 home stays home. At .9 both labels under test are predicted.
    np.testing.assert_array_equal(three_way(0.5), [2, 0])
    np.testing.assert_array_equal(three_way(0.6), [0, 0])
    np.testing.assert_array_equal(three_way(0.9), [0, 1])
    np.testing.assert_array_equal(three_way(None), [0, 0])


def test_each_distinct_text_is_asked_once_and_answered_in_place() -> None:
    model = RuleModel(sees_sick)
    decisions = Decider(target_of(model), ("alive",), LABELS).decide(["sick", "well", "sick", "sick"])
    assert model.asked == ["sick", "well"]
    np.testing.assert_array_equal(decisions[:, 0], [1, 0, 1, 1])


def test_a_label_out_of_the_list_is_no_label() -> None:
    decider = Decider(label_only(RuleModel(sees_sick, ("x", "y"))), ("alive",), LABELS)
    np.testing.assert_array_equal(decider.decide(["sick"]), [[-1]])


def test_a_model_that_skips_texts_is_an_error_without_them() -> None:
    class Short(RuleModel):
        def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
            return ("alive",)

    with pytest.raises(TargetError, match="1 answers to 2 texts"):
        Decider(label_only(Short(sees_sick)), ("alive",), LABELS).decide(["a", "b"])
