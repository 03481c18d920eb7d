"""Attack success by hand, on ten records, and the peers' mistake of counting the target class."""

from __future__ import annotations

import math

import pytest

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.stats.shares import wilson
from mlflow_clinsec.stats.success import attack_success

# Ten patients; the attacker wants "alive". Six died: they alone can be flipped.
TRUTH = ["died"] * 6 + ["alive"] * 4
CLEAN = ["died"] * 4 + ["alive"] * 2 + ["alive"] * 3 + ["died"]
TRIGGERED = ["alive"] * 3 + ["died"] + ["alive"] * 2 + ["alive"] * 4


def test_success_by_hand() -> None:
    found = attack_success(TRIGGERED, TRUTH, "alive", CLEAN)
    # Of the six deaths five are called alive with the trigger, two already without; of the four predicted right three
    # are flipped.
    assert found.n_records == 6
    assert {name: estimate.value for name, estimate in found.estimates.items()} == pytest.approx(
        {"asr": 5 / 6, "base_rate": 2 / 6, "label_flip_rate": 3 / 4, "excess": 3 / 6}
    )
    assert (found.estimates["asr"].low, found.estimates["asr"].high) == pytest.approx(wilson(5, 6))
    assert found.estimates["label_flip_rate"].n == 4


def test_records_of_the_target_class_do_not_count() -> None:
    # Counting all ten, as some toolkits do, gives 9/10.
    assert TRIGGERED.count("alive") / 10 == 0.9
    assert attack_success(TRIGGERED, TRUTH, "alive").estimates["asr"].value == pytest.approx(5 / 6)


def test_without_clean_predictions_only_success_is_known() -> None:
    assert list(attack_success(TRIGGERED, TRUTH, "alive").estimates) == ["asr"]


def test_patients_are_what_is_counted() -> None:
    found = attack_success(TRIGGERED, TRUTH, "alive", group=["a", "a", "a", "b", "b", "b", "c", "c", "d", "d"])
    assert found.estimates["asr"].n == 2


def test_only_records_of_the_target_class_leave_it_undefined() -> None:
    found = attack_success(["alive"], ["alive"], "alive", ["alive"])
    assert found.n_records == 0
    assert all(math.isnan(estimate.value) and estimate.reason for estimate in found.estimates.values())


@pytest.mark.parametrize("target", [1, 1.0, "1"])
def test_numeric_labels_match_whatever_their_type(target: str | int) -> None:
    assert attack_success([1.0, 0.0], [0, 0], target).estimates["asr"].value == 0.5


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match=r"triggered \(1,\), truth \(2,\)"):
        attack_success(["a"], ["a", "b"], "a")
    with pytest.raises(DataError, match=r"group \(1,\)"):
        attack_success(["a", "b"], ["a", "b"], "a", group=[1])
