"""Per-class thresholds, quantile regression and label-only: by hand, on noise, and on planted leaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fixtures_privacy import classifier, labelled, records
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.attack import Attack, run_attack
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy import label_only, per_class, quantile_regression
from mlflow_clinsec.privacy.cross_fit import judged_and_public
from mlflow_clinsec.privacy.label_only import LABEL_ONLY
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions
from mlflow_clinsec.privacy.per_class import PER_CLASS
from mlflow_clinsec.privacy.quantile_regression import QUANTILE_REGRESSION, QuantileOptions, record_features
from mlflow_clinsec.results import Decision, Family, Status
from mlflow_clinsec.targets.protocols import Target

RNG = np.random.default_rng(0)


def rows_of(logits: FloatArray) -> FloatArray:
    """Three-class rows whose first column has these logits."""
    first = 1 / (1 + np.exp(-logits))
    return np.stack([first, (1 - first) / 2, (1 - first) / 2], axis=1)


def two_classes(n: int, notes: int = 1) -> AuditData:
    """Records of :func:`labelled` of which every third is of the class "died"."""
    data = labelled(n, 0, notes)
    return dataclasses.replace(data, labels=tuple("died" if i % 3 == 0 else "alive" for i in range(n)))


def test_folds_keep_patients_whole_and_public_records_outside() -> None:
    data = labelled(120, 0, notes=3)
    assert data.member is not None
    times = np.zeros(120)
    for judged, public in judged_and_public(data, RNG):
        times += judged
        assert not data.member[public].any()
        assert not np.intersect1d(data.group[judged], data.group[public]).size
    assert (times == 1).all()


def test_per_class_equals_a_loop_over_records() -> None:
    data = two_classes(150, notes=2)
    assert data.labels is not None
    logits = np.random.default_rng(1).normal(size=150)
    # the classifier gives these logits to the true label, whichever column that is
    table = rows_of(logits)
    died = np.array([label == "died" for label in data.labels])
    table[died] = table[died][:, [1, 0, 2]]
    found = per_class.score(data, classifier(table, notes=2), MembershipOptions(), np.random.default_rng(3))
    for judged, public in judged_and_public(data, np.random.default_rng(3)):
        for i in np.flatnonzero(judged):
            like = [logits[j] for j in np.flatnonzero(public) if data.labels[j] == data.labels[i]]
            assert found[i] == pytest.approx((logits[i] - np.mean(like)) / np.std(like, ddof=1))


def test_per_class_falls_back_for_a_rare_class_and_gives_none_without_spread() -> None:
    data = dataclasses.replace(labelled(60, 0), labels=("died", *["alive"] * 59))
    logits = np.random.default_rng(2).normal(size=60)
    table = rows_of(logits)
    table[0] = table[0][[1, 0, 2]]
    found = per_class.score(data, classifier(table), MembershipOptions(), np.random.default_rng(0))
    assert np.isfinite(found).all()
    flat = per_class.score(labelled(60, 0), classifier(rows_of(np.zeros(60))), MembershipOptions(), RNG)
    assert np.isnan(flat).all()


def test_per_class_undoes_what_the_class_alone_explains() -> None:
    # the model is surer of one class, and a little surer of members: one threshold for both sees less
    data = two_classes(900)
    assert data.labels is not None
    assert data.member is not None
    rng = np.random.default_rng(4)
    died = np.array([label == "died" for label in data.labels])
    logits = rng.normal(size=900) + 4.0 * died + 0.8 * data.member
    table = rows_of(logits)
    table[died] = table[died][:, [1, 0, 2]]
    found = per_class.score(data, classifier(table), MembershipOptions(), RNG)
    assert roc_auc_score(data.member, found) > roc_auc_score(data.member, logits) + 0.05


def test_quantile_regression_undoes_what_the_words_explain() -> None:
    # records that mention a word are classified with ease; members a little more so than others
    data = labelled(900, 0)
    assert data.member is not None
    rng = np.random.default_rng(5)
    easy = np.arange(900) % 3 == 0
    texts = tuple(text + " cardiac arrest" if flag else text for text, flag in zip(data.texts, easy, strict=True))
    data, member = dataclasses.replace(data, responses=texts), data.member
    logits = rng.normal(size=900) * 0.7 + 4.0 * easy + 0.8 * member
    target = classifier(rows_of(logits))
    target.label_scorer.table = dict(zip(texts, rows_of(logits), strict=True))  # type: ignore[union-attr]
    found = quantile_regression.score(data, target, QuantileOptions(), RNG)
    assert roc_auc_score(member, found) > roc_auc_score(member, logits) + 0.05


def test_about_the_asked_share_of_non_members_exceeds_its_quantile() -> None:
    data = labelled(1000, 0)
    assert data.member is not None
    target = classifier(rows_of(np.random.default_rng(6).normal(size=1000)))
    found = quantile_regression.score(data, target, QuantileOptions(level=0.8), RNG)
    # 500 non-members: a binomial share of 0.2 lies within 0.2 +- 0.06 (3.4 standard errors); fitting adds a little
    assert (found[~data.member] > 0).mean() == pytest.approx(0.2, abs=0.07)


def test_features_use_no_member_flag() -> None:
    data = labelled(80, 0)
    assert data.member is not None
    flipped = dataclasses.replace(data, member=~data.member)
    target = classifier(rows_of(np.zeros(80)))
    first, second = (record_features(d, target, np.random.default_rng(0)) for d in (data, flipped))
    np.testing.assert_array_equal(first, second)


def test_few_non_members_are_refused() -> None:
    with pytest.raises(NotApplicableError, match="at least 50 non-members of other patients, has"):
        quantile_regression.score(labelled(60, 0), classifier(rows_of(np.zeros(60))), QuantileOptions(), RNG)


@pytest.mark.parametrize("attack", [PER_CLASS, QUANTILE_REGRESSION])
def test_noise_gives_no_advantage(attack: Attack) -> None:
    """Correlated notes of one patient must not help either: all of a patient's notes share their noise."""
    data = labelled(900, 0, notes=3)
    assert data.member is not None
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        logits = np.repeat(rng.normal(size=300), 3) + 0.3 * rng.normal(size=900)
        score = {"per_class": per_class.score, "quantile_regression": quantile_regression.score}[attack.name]
        scores = score(data, classifier(rows_of(logits), notes=3), attack.options, rng)
        found.append(roc_auc_score(data.member, scores))
    # one AUC over 300 patients has a standard error of 0.033; the mean of six 0.014
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("attack", [PER_CLASS, QUANTILE_REGRESSION])
def test_without_labels_it_is_skipped(attack: Attack) -> None:
    result = run_attack(attack, labelled(60, 0, label=None), classifier(rows_of(np.zeros(60))), RNG)
    assert result.status is Status.SKIPPED
    assert "labels" in result.reason


class ByWord:
    """Labels by a rule."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self.rule = rule

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.rule(text) for text in texts)


REWORDED = records(
    ["fever a", "fever b", "calm c", "calm d"],
    [True, True, False, False],
    [["fever a1", "hot a2", "fever a3"], ["fever b1"], ["hot c1", "calm c2"], []],
)


def say(text: str) -> str:
    return "died" if "fever" in text else "alive"


def labels_only(**parts: Any) -> Target:
    return Target("f", "function", predictor=ByWord(say), **parts)


def test_label_only_counts_the_record_and_its_rewrites() -> None:
    data = dataclasses.replace(REWORDED, labels=("died", "alive", "alive", "alive"))
    found = label_only.score(data, labels_only(), MembershipOptions(), RNG)
    # a: itself, a1 and a3 of four; b: called died twice, truly alive; c: itself and both rewrites
    assert found[:3].tolist() == pytest.approx([3 / 4, 0.0, 1.0])
    assert np.isnan(found[3])


def test_label_only_without_labels_asks_whether_the_label_stays() -> None:
    found = label_only.score(REWORDED, labels_only(), MembershipOptions(), RNG)
    assert found[:3].tolist() == pytest.approx([2 / 3, 1.0, 1.0])
    assert np.isnan(found[3])


def test_label_only_reads_pairs_as_a_classifier_does() -> None:
    assert REWORDED.paraphrases is not None
    pairs = dataclasses.replace(
        REWORDED,
        prompts=("q", "q", "q", "q"),
        paraphrases=dataclasses.replace(REWORDED.paraphrases, prompts=("fever?",) * 6),
    )
    found = label_only.score(pairs, labels_only(), MembershipOptions(), RNG)
    # every rewritten prompt says fever, so that all rewrites are called died
    assert found[:3].tolist() == pytest.approx([1.0, 1.0, 0.0])


def test_a_labels_only_model_gets_an_attack_that_is_judged() -> None:
    result = run_attack(LABEL_ONLY, REWORDED, labels_only(), RNG)
    assert result.status is Status.OK
    replayed = run_attack(LABEL_ONLY, REWORDED, labels_only(precomputed=True), RNG)
    assert replayed.status is Status.SKIPPED
    assert "new text" in replayed.reason
    assert LABEL_ONLY.judged
    assert not LABEL_ONLY.default


@pytest.mark.parametrize(("attacks", "judged"), [("default", False), ("all", True)])
def test_a_labels_only_model_is_judged_when_all_attacks_are_asked_for(attacks: str, judged: bool) -> None:
    settings = {"member": "m", "attacks": attacks, "bootstrap": 200, "permutations": 999, "split": "random"}
    config = AuditConfig.from_mapping({"privacy": settings})
    notes = generate_corpus(60, seed=3).notes.groupby("patient_id").head(1)
    texts, member = tuple(notes["text"]), np.arange(len(notes)) % 2 == 0
    data = AuditData(("",) * len(texts), texts, np.arange(len(texts)), labels=("died",) * len(texts), member=member)
    known = {text for text, inside in zip(texts, member, strict=True) if inside}
    stems = {text[:40] for text in known}
    # it has learned how members begin: a rewrite that keeps the beginning keeps the label
    memorised = ByWord(lambda text: "died" if text[:40] in stems else "alive")
    report = run_audit(data, Target("f", "function", predictor=memorised), config)
    found = report.find(Family.PRIVACY, "label_only")
    assert (found is not None) == judged
    assert report.verdict.decision is (Decision.FAIL if judged else Decision.INCONCLUSIVE)
    if found is not None:
        assert found.status is Status.OK
        assert found.estimates["auc"].value > 0.9
