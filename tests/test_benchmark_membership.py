"""The strength benchmark: its second implementation of published scores against ours, and what its bar compares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_models as tiny

from benchmarks.membership import bar, summarise
from benchmarks.peer_scores import peer_scores
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy import ez, reference, wbc
from mlflow_clinsec.scoring.encode import encode_pairs
from mlflow_clinsec.targets.huggingface import causal_lm_target

RNG = np.random.default_rng(0)


def random_texts(count: int) -> tuple[str, ...]:
    rng = np.random.default_rng(1)
    return tuple(" ".join(rng.choice(tiny.WORDS, size=rng.integers(4, 14))) for _ in range(count))


def test_both_implementations_of_published_scores_agree() -> None:
    tokenizer, target, base = tiny.word_tokenizer(), tiny.tiny_gpt2(seed=0), tiny.tiny_gpt2(seed=1)
    texts = random_texts(30)
    data = AuditData(("",) * 30, texts, np.arange(30), member=np.arange(30) < 15)
    audited = causal_lm_target(target, tokenizer)
    scorer = causal_lm_target(base, tokenizer).scorer
    assert scorer is not None
    audited = dataclasses.replace(audited, references=(scorer,))
    theirs = peer_scores(target, base, encode_pairs(tokenizer, data.prompts, data.responses))
    ours = {
        "reference_difference": reference.score(data, audited, reference.REFERENCE.options, RNG),
        "wbc": wbc.score(data, audited, wbc.WBC.options, RNG),
    }
    for name, scores in ours.items():
        np.testing.assert_allclose(scores, theirs[name], atol=1e-4)
    # Random models err on nearly every token, where our error zone is the logarithm of the published ratio.
    ranks = np.corrcoef(
        np.argsort(np.argsort(ez.score(data, audited, ez.EZ.options, RNG))), theirs["ez"].argsort().argsort()
    )
    assert ranks[0, 1] > 0.95


def test_the_bar_compares_attacks_that_had_the_same_reference() -> None:
    run = {"ez": (0.8, 0.2), "peer:ez": (0.9, 0.3), "ez+shadows": (0.99, 0.9), "blind": (0.95, 0.5)}
    found = bar(summarise([run]))
    assert (found["best"], found["peer"], found["met"]) == ("ez", "peer:ez", False)


def test_seeds_are_averaged_and_what_no_seed_shows_is_left_out() -> None:
    rows = summarise([{"loss": (0.7, float("nan"))}, {"loss": (0.9, float("nan"))}])
    assert rows["loss"]["auc"] == pytest.approx(0.8)
    assert rows["loss"]["auc_sd"] == pytest.approx(0.141)
    assert "tpr_at_1pct_fpr" not in rows["loss"]
