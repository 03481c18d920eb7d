"""Each attack's score against a count that can be done by hand."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fixtures_privacy import Replay, language_model, records

from mlflow_clinsec.attack import Attack, run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy import (
    confidence,
    log_ratio,
    loss,
    min_k,
    paraphrase_gap,
    paraphrase_only,
    reference,
    zlib_ratio,
)
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.privacy.min_k import MinKOptions
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.protocols import Target

RNG = np.random.default_rng(0)
ROWS = {
    "a": [-1.0, -2.0, -3.0, -4.0, -10.0],
    "b": [-0.5, -0.5, -0.5],
    "a1": [-3.0, -5.0],
    "a2": [-6.0],
    "b1": [-2.0],
}
REFERENCE = {"a": [-2.0, -2.0, -5.0, -4.0, -11.0], "b": [-0.5, -0.5, -0.5]}
DATA = records(["a", "b"], [True, False], [["a1", "a2"], ["b1"]])
TARGET = language_model(ROWS, REFERENCE)


def _score(function: Callable[..., Any], options: Any = MembershipOptions()) -> list[float]:  # noqa: B008 - frozen
    return [float(value) for value in function(DATA, TARGET, options, RNG)]


def test_loss() -> None:
    assert _score(loss.score) == pytest.approx([-4.0, -0.5])  # -(1+2+3+4+10)/5


def test_reference() -> None:
    assert _score(reference.score) == pytest.approx([24 / 5 - 4.0, 0.0])


def test_reference_with_other_tokens_compares_whole_texts() -> None:
    # the reference cuts "a" into two tokens of -12 nats each: 24 nats in all, over the target's five tokens
    target = Target("x", "causal-lm", scorer=Replay(ROWS), references=(Replay({"a": [-12.0, -12.0], "b": [-1.5]}),))
    found = reference.score(DATA, target, MembershipOptions(), RNG)
    assert found.tolist() == pytest.approx([24 / 5 - 4.0, 0.0])


def test_zlib() -> None:
    sizes = [len(zlib.compress(text.encode())) for text in ("a", "b")]
    assert _score(zlib_ratio.score) == pytest.approx([-20 / sizes[0], -1.5 / sizes[1]])


def test_min_k_keeps_the_lowest_share() -> None:
    # 40% of five tokens are two: -10 and -4; 40% of three is one
    assert _score(min_k.score, MinKOptions(k=0.4)) == pytest.approx([-7.0, -0.5])


def test_min_k_of_a_short_text_keeps_one_token() -> None:
    # a peer returns NaN for texts of under five tokens at 20%
    assert _score(min_k.score, MinKOptions(k=0.2)) == pytest.approx([-10.0, -0.5])


def test_min_k_plus_plus_standardises() -> None:
    # mean -1 and standard deviation 1: (-10 + 1) / 1
    assert _score(min_k.score_plus_plus, MinKOptions(k=0.2)) == pytest.approx([-9.0, 0.5])


def test_min_k_plus_plus_needs_the_distribution() -> None:
    target = Target("x", "causal-lm", scorer=Replay(ROWS, spread=None))
    result = run_attack(min_k.MIN_K_PLUS_PLUS, DATA, target, RNG)
    assert result.status is Status.SKIPPED
    assert "next-token distribution" in result.reason


def test_log_ratio() -> None:
    # a: d = 1, 0, 2, 0, 1 with mean 0.8 and sample variance 0.7
    assert _score(log_ratio.score) == pytest.approx([0.8, 0.0])
    studentised = 0.8 / math.sqrt(0.7 / 5)
    assert _score(log_ratio.score_studentised) == pytest.approx([studentised, 0.0])


def test_several_references_are_averaged() -> None:
    other = {"a": [-4.0, -2.0, -5.0, -4.0, -11.0], "b": [-1.5, -0.5, -0.5]}
    target = language_model(ROWS, REFERENCE, other)
    options = MembershipOptions()
    # a: the first token's mean is -3 in place of -2, one nat more over five tokens; b: half a nat over three
    assert log_ratio.score(DATA, target, options, RNG).tolist() == pytest.approx([0.8 + 1 / 5, 0.5 / 3])
    assert reference.score(DATA, target, options, RNG).tolist() == pytest.approx([0.8 + 1 / 5, 0.5 / 3])


def test_log_ratio_is_undefined_for_one_token_and_finite_without_spread() -> None:
    data = records(["one", "flat"], [True, False])
    target = language_model({"one": [-1.0], "flat": [-1.0, -1.0]}, {"one": [-2.0], "flat": [-2.0, -2.0]})
    one, flat = log_ratio.score_studentised(data, target, MembershipOptions(), RNG)
    assert math.isnan(one)
    assert math.isfinite(flat)
    assert flat > 0


@pytest.mark.parametrize("other", [Replay({"a": [-1.0], "b": [-1.0]}), Replay(REFERENCE, ids=7)])
def test_log_ratio_refuses_another_tokenizer(other: Replay) -> None:
    target = Target("x", "causal-lm", scorer=Replay(ROWS), references=(other,))
    with pytest.raises(NotApplicableError, match="token by token"):
        log_ratio.score(DATA, target, MembershipOptions(), RNG)


def test_paraphrase_gap() -> None:
    # a: rewrites lose 4 and 6, mean 5, itself 4; b: 2 against 0.5
    assert _score(paraphrase_gap.score) == pytest.approx([1.0, 1.5])


def test_paraphrase_gap_z_shrinks_the_spread() -> None:
    # a: sum of squares (4-5)^2 + (6-5)^2 = 2 on one degree of freedom; pooled variance 2 / 1 = 2.
    # a: (2 + 2) / (1 + 1) = 2; b has one rewrite and gets the pooled 2
    assert _score(paraphrase_gap.score_z) == pytest.approx([1 / math.sqrt(2), 1.5 / math.sqrt(2)])


def test_paraphrase_only_never_scores_the_record() -> None:
    blind_to_record = Target("x", "causal-lm", scorer=Replay({k: v for k, v in ROWS.items() if k not in "ab"}))
    mean = paraphrase_only.score(DATA, blind_to_record, MembershipOptions(), RNG)
    least = paraphrase_only.score_min(DATA, blind_to_record, MembershipOptions(), RNG)
    assert mean.tolist() == pytest.approx([-5.0, -2.0])
    assert least.tolist() == pytest.approx([-4.0, -2.0])


@pytest.mark.parametrize(
    "function",
    [paraphrase_gap.score, paraphrase_gap.score_z, paraphrase_only.score, paraphrase_only.score_min],
)
def test_a_record_without_rewrites_has_no_score(function: Callable[..., Any]) -> None:
    data = records(["a", "b"], [True, False], [["a1", "a2"], []])
    found = function(data, TARGET, MembershipOptions(), RNG)
    assert math.isfinite(found[0])
    assert math.isnan(found[1])


class Probabilities:
    labels = ("alive", "died")

    def __init__(self, table: list[list[float]]) -> None:
        self.table = np.array(table)

    def predict_proba(self, texts: Any) -> Any:
        return self.table


CLASSIFIER = Target("c", "text-classifier", label_scorer=Probabilities([[0.9, 0.1], [0.4, 0.6]]))
LABELLED = AuditData(("", ""), ("a", "b"), np.arange(2), labels=("alive", "alive"), member=np.array([True, False]))


def test_confidence_reads_the_true_label() -> None:
    assert confidence.confidence(LABELLED, CLASSIFIER, None, RNG).tolist() == pytest.approx([0.9, 0.4])


def test_confidence_without_labels_is_the_largest() -> None:
    assert confidence.confidence(DATA, CLASSIFIER, None, RNG).tolist() == pytest.approx([0.9, 0.6])


def test_entropy_and_modified_entropy() -> None:
    def h(p: float) -> float:
        return p * math.log(p) + (1 - p) * math.log(1 - p)

    assert confidence.negative_entropy(LABELLED, CLASSIFIER, None, RNG).tolist() == pytest.approx([h(0.9), h(0.4)])
    # binary case of Song and Mittal's equation: 2 (1 - p_y) log p_y
    expected = [2 * 0.1 * math.log(0.9), 2 * 0.6 * math.log(0.4)]
    found = confidence.negative_modified_entropy(LABELLED, CLASSIFIER, None, RNG)
    assert found.tolist() == pytest.approx(expected)


def test_unknown_label_is_counted_not_quoted() -> None:
    data = AuditData(("",), ("a",), np.arange(1), labels=("SECRET",), member=np.array([True]))
    with pytest.raises(Exception, match=r"1 records have a true label that the model does not have") as caught:
        confidence.label_columns(data, CLASSIFIER)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("attack", [confidence.CONFIDENCE, confidence.ENTROPY, confidence.MODIFIED_ENTROPY, loss.LOSS])
def test_a_labels_only_model_skips_with_a_reason(attack: Attack) -> None:
    result = run_attack(attack, LABELLED, Target("f", "function"), RNG)
    assert result.status is Status.SKIPPED
    assert "not offered by a function target" in result.reason
