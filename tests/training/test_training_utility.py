"""Utility on held-out answers, against the audit's own scorer, greedy decoding and a formula by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlflow_clinsec.targets.causal_lm import CausalLMGenerator, CausalLMScorer
from mlflow_clinsec.training.causal_lm import finetune_causal_lm
from mlflow_clinsec.training.options import TrainingOptions
from mlflow_clinsec.training.utility import answer_scores, answer_utility, clustered_mean

PAIRS = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b", "c"],
        "prompt": ["Any pain?", "Where?", "Any pain?", ""],
        "response": ["chest pain", "left lower lobe", "stable and walking", "septic, anuric"],
    }
)


@pytest.fixture
def learned(lm, lm_tokenizer):
    options = TrainingOptions(epochs=60, batch_size=2, max_length=64, learning_rate=1e-2)
    rows = PAIRS.iloc[:2]
    finetune_causal_lm(lm, lm_tokenizer, rows["prompt"].tolist(), rows["response"].tolist(), options)
    return lm


def test_losses_are_those_that_the_audit_sees(learned, lm_tokenizer):
    nll, _ = answer_scores(learned, lm_tokenizer, PAIRS, 64)
    scorer = CausalLMScorer(learned, lm_tokenizer)
    expected = scorer.token_stats(PAIRS["prompt"].tolist(), PAIRS["response"].tolist()).nll()
    np.testing.assert_allclose(nll, expected, atol=1e-4)


def test_an_exact_match_is_what_greedy_decoding_begins_with(learned, lm_tokenizer):
    _, accuracy = answer_scores(learned, lm_tokenizer, PAIRS, 64)
    answers = CausalLMGenerator(learned, lm_tokenizer).generate(PAIRS["prompt"].tolist(), 12)
    begins = [answer.startswith(truth) for answer, truth in zip(answers, PAIRS["response"], strict=True)]
    assert (accuracy == 1.0).tolist() == begins
    assert begins[:2] == [True, True], "the two pairs it was trained on"
    found = answer_utility(learned, lm_tokenizer, PAIRS, 64)
    assert found["exact_match"].value == np.mean(begins)
    assert found["token_accuracy"].value == pytest.approx(accuracy.mean())
    assert found["nll"].n == 3


def test_with_one_record_a_patient_the_interval_is_students():
    values = np.random.default_rng(0).normal(3.0, 1.0, 40)
    found = clustered_mean(values, np.arange(40))
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)


def test_records_of_one_patient_that_agree_count_once():
    values = np.random.default_rng(1).normal(0.0, 1.0, 30)
    once = clustered_mean(values, np.arange(30))
    fivefold = clustered_mean(np.repeat(values, 5), np.repeat(np.arange(30), 5))
    assert (fivefold.low, fivefold.high, fivefold.n) == pytest.approx((once.low, once.high, 30))
    alone = clustered_mean(values, np.zeros(30))
    assert np.isnan(alone.low)
    assert alone.value == pytest.approx(values.mean())
