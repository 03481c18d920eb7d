"""Clean utility against scikit-learn, and its intervals against clustered data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import RuleModel, audit_data, label_only, noise, sees_sick, target_of, wards
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.clean_utility import CLEAN_UTILITY, average_precision, positive_labels
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.protocols import FloatArray, Target


def utility(data: AuditData, target: Target, **settings: object) -> AttackResult:
    options = TriggerOptions(**{"target_label": "alive", **settings})
    return run_attack(CLEAN_UTILITY.with_options(options), data, target, np.random.default_rng(0))


def doubtful(text: str) -> float:
    """A model that is often wrong: one quarter signal, the rest noise."""
    return 0.25 * sees_sick(text) + 0.75 * noise(text)


class ThreeWards:
    """Probabilities of three labels, drawn from the text."""

    labels = ("home", "ward", "dead")

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        raw = np.array([[noise(f"{label}{text}") + (label in text) for label in self.labels] for text in texts])
        return raw / raw.sum(axis=1, keepdims=True)

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.labels[i] for i in self.predict_proba(texts).argmax(axis=1))


def test_four_records_by_hand() -> None:
    # P(died): .9, .4 for the dead; .6, .1 for the living. Right at .5: .9 and .1, so accuracy 2/4.
    # Pairs (dead, alive) in order: .9 > .6, .9 > .1, .4 > .1, but .4 < .6: AUROC 3/4.
    # Ranked: dead, alive, dead, alive: average precision (1/1 + 2/3) / 2 = 5/6.
    probability = {"a": 0.9, "b": 0.4, "c": 0.6, "d": 0.1}
    data = audit_data(list("abcd"), ["died", "died", "alive", "alive"])
    found = utility(data, target_of(RuleModel(probability.__getitem__))).estimates
    assert found["cacc"].value == 0.5
    assert found["auroc"].value == pytest.approx(3 / 4)
    assert found["auprc"].value == pytest.approx(5 / 6)
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high


def test_two_labels_agree_with_sklearn() -> None:
    data = wards(120, 3)
    result = utility(data, target_of(RuleModel(doubtful)))
    died = np.array([label == "died" for label in data.labels or ()])
    scores = np.array([doubtful(text) for text in data.texts])
    assert result.status is Status.OK
    assert result.details["positive_labels"] == ["died"]
    assert result.estimates["auroc"].value == pytest.approx(roc_auc_score(died, scores))
    assert result.estimates["auprc"].value == pytest.approx(average_precision_score(died, scores))
    assert result.estimates["auroc"].n == 40


def test_several_labels_are_averaged_one_against_the_rest() -> None:
    labels = [ThreeWards.labels[i % 3] for i in range(90)]
    data = audit_data([f"note {i} {label}" for i, label in enumerate(labels)], labels)
    model = ThreeWards()
    target = Target("fake", "function", label_scorer=model, predictor=model)
    found = utility(data, target, target_label="home").estimates
    proba = model.predict_proba(data.texts)
    truth = np.array([[label == one for one in model.labels] for label in labels])
    assert found["auroc"].value == pytest.approx(roc_auc_score(truth, proba, average="macro"))
    assert found["auprc"].value == pytest.approx(average_precision_score(truth, proba, average="macro"))


def test_the_positive_label() -> None:
    truth = ["alive"] * 9 + ["died"]
    assert positive_labels(TriggerOptions(target_label="died"), ("alive", "died"), truth) == ("alive",)
    assert positive_labels(TriggerOptions(), ("alive", "died"), truth) == ("died",)  # the rarer one
    assert positive_labels(TriggerOptions(), ("a", "alive", "died"), truth) == ("alive", "died")  # those that occur


def test_a_label_only_model_has_accuracy_but_no_ranking() -> None:
    found = utility(wards(40), label_only(RuleModel(sees_sick))).estimates
    assert found["cacc"].value == 1.0
    for name in ("auroc", "auprc"):
        assert not found[name].is_defined
        assert "probabilities" in found[name].reason


def test_one_true_label_has_no_ranking() -> None:
    data = audit_data(["he is sick", "she is well"], ["died", "died"])
    found = utility(data, target_of(RuleModel(sees_sick))).estimates
    assert found["cacc"].value == 0.5
    assert "two true labels" in found["auroc"].reason


def test_the_threshold_of_one_target_label_moves_the_accuracy() -> None:
    # P(died) is .1 for the living: "died" from .05 on calls all forty dead, which is right for twenty.
    target = target_of(RuleModel(sees_sick))
    assert utility(wards(40), target, decision_threshold=0.05).estimates["cacc"].value == 0.5
    both = utility(wards(40), target, decision_threshold=0.05, target_label="each")
    assert both.estimates["cacc"].value == 1.0


def test_utility_reads_every_record_whatever_max_records_says() -> None:
    model = RuleModel(sees_sick)
    utility(wards(400), target_of(model), max_records=10)
    assert len(set(model.asked)) == len(set(wards(400).texts))


def test_notes_of_one_patient_do_not_narrow_the_interval() -> None:
    # Each of 40 notes four times over, as four notes of one patient or of four: same value, and an interval
    # twice as wide (the square root of four) where the copies are known to be copies.
    base = wards(40)
    texts, labels = list(base.texts) * 4, list(base.labels or ()) * 4
    target = target_of(RuleModel(doubtful))
    copies = utility(audit_data(texts, labels, list(range(40)) * 4), target).estimates
    naive = utility(audit_data(texts, labels), target).estimates
    for name in ("cacc", "auroc", "auprc"):
        assert copies[name].value == pytest.approx(naive[name].value)
        ratio = (copies[name].high - copies[name].low) / (naive[name].high - naive[name].low)
        assert 1.8 < ratio < 2.4


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=12),
)
def test_weighted_average_precision_agrees_with_sklearn(rows: list[tuple[int, bool, int]]) -> None:
    scores, positive, weights = (np.array(column) for column in zip(*rows, strict=True))
    if not (weights * positive).sum():
        return
    own = average_precision(scores.astype(float), positive, np.arange(len(rows)), weights[:, None])
    assert own[0] == pytest.approx(average_precision_score(positive, scores, sample_weight=weights))
