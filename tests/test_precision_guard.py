"""bfloat16 is used where a sample keeps the accuracy budget, refused elsewhere, and never mixed with float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from masked_models import mask_tokenizer, tiny_masked_lm
from peft import LoraConfig, get_peft_model

from mlflow_clinsec import precision_guard
from mlflow_clinsec.audit import run_audit
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.precision_guard import LARGEST, LEAST_RANK, NOT_MEANT, Deviation, deviation, settle, spread
from mlflow_clinsec.scoring import precision
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target, classifier_target
from mlflow_clinsec.targets.masked_lm import masked_lm_target
from mlflow_clinsec.targets.protocols import Target

WORDS = ["the", "patient", "has", "fever", "no", "pain", "in", "left", "chest", "was", "given", "aspirin", ".", "and"]
ROUNDED = TargetOptions(precision="bfloat16")


def records(n: int = 40, longest: int = 30) -> AuditData:
    rng = np.random.default_rng(0)
    texts = tuple(" ".join(rng.choice(WORDS, rng.integers(5, longest))) for _ in range(n))
    return AuditData(("",) * n, texts, np.arange(n), member=np.arange(n) % 2 == 0)


def calm(model: Any) -> Any:
    """Small weights, so that a probability is no step function of what is rounded."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(0.2)
    return model


def wild(model: Any) -> Any:
    """Logits fifty times as large: what bfloat16 rounds away is nats."""
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(50)
    return model


def untied_llama() -> Any:
    return tiny.tiny_llama(vocab_size=60, tie_word_embeddings=False)


def opened(model: Any, make: Any = causal_lm_target, tokenizer: Any = None) -> Any:
    tokenizer = tokenizer or tiny.word_tokenizer()
    return lambda options: make(model, tokenizer, options=options)


@pytest.fixture(autouse=True)
def _tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested holds on any processor; how fast it is does not."""
    monkeypatch.setattr(precision, "_has_tiles", lambda: True)


@pytest.fixture
def store(cache_folder: Path) -> Iterator[Store]:
    found = Store(cache_folder, 1.0)
    yield found
    found.close()


def test_a_model_that_keeps_the_budget_runs_in_bfloat16() -> None:
    data, model = records(), calm(untied_llama())
    exact = opened(model)(TargetOptions()).scorer.token_stats(data.prompts, data.responses)
    target = settle(opened(model), ROUNDED, data)
    assert target.scorer is not None
    rounded = target.scorer.token_stats(data.prompts, data.responses)
    moved = np.abs(exact.nll() - rounded.nll())
    assert 0 < moved.max() <= LARGEST
    assert target.precision.startswith("bfloat16: on a sample, a mean loss moves by up to 0.00")


def test_a_model_that_breaks_it_runs_as_loaded(caplog: pytest.LogCaptureFixture) -> None:
    data, model, closed = records(), wild(untied_llama()), []
    plain = opened(model)

    def open_with(options: TargetOptions) -> Target:
        return replace(plain(options), close=lambda: closed.append(options.precision))

    target = settle(open_with, ROUNDED, data)
    assert target.scorer is not None
    used = target.scorer.token_stats(data.prompts, data.responses)
    exact = plain(TargetOptions()).scorer.token_stats(data.prompts, data.responses)
    np.testing.assert_array_equal(used.logp, exact.logp)
    assert target.precision.startswith(
        "as loaded, since bfloat16 is not exact enough: on a sample, a mean loss moves by"
    )
    assert target.precision in caplog.text
    assert closed == ["bfloat16"]


def test_ranks_of_a_difference_to_a_near_reference_break_it() -> None:
    """The base of an adapter that has hardly learnt: each loss keeps its rank, their difference is all rounding."""
    model = get_peft_model(calm(untied_llama()), LoraConfig(r=2, target_modules=["q_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.add_(1e-3)
    target = opened(model)(ROUNDED)
    assert len(target.references) == 1
    found = deviation(target, records())
    assert found.largest <= LARGEST
    assert found.rank < LEAST_RANK
    assert not found.kept
    assert deviation(replace(target, references=()), records()).rank > found.rank


def test_the_deviation_is_that_of_scores_computed_by_hand() -> None:
    data, model, tokenizer = records(12), calm(untied_llama()), tiny.word_tokenizer()
    found = deviation(opened(model)(ROUNDED), data)
    losses = []
    for rounded in (False, True):
        options = ROUNDED if rounded else TargetOptions()
        stats = causal_lm_target(model, tokenizer, options=options).scorer.token_stats(data.prompts, data.responses)  # type: ignore[union-attr]
        losses.append([-stats.logp[a:b].mean() for a, b in zip(stats.offsets[:-1], stats.offsets[1:], strict=True)])
    assert found.largest == pytest.approx(np.abs(np.subtract(losses[0], losses[1])).max(), abs=1e-12)
    assert found.relabelled == 0


@pytest.mark.parametrize("kept", [True, False])
def test_classifiers_by_probability(kept: bool) -> None:
    data, model = records(), tiny.tiny_bert()
    if kept:
        calm(model)
    target = settle(opened(model, classifier_target), ROUNDED, data)
    assert target.label_scorer is not None
    exact = opened(model, classifier_target)(TargetOptions()).label_scorer.predict_proba(data.texts)
    moved = np.abs(target.label_scorer.predict_proba(data.texts) - exact).max()
    assert "a probability" in target.precision
    assert target.precision.startswith("bfloat16") == kept
    assert (0 < moved <= LARGEST) if kept else (moved == 0)


def test_a_changed_label_breaks_it() -> None:
    assert Deviation(0.0, 1.0).kept
    assert not Deviation(0.001, 1.0, relabelled=1.0).kept
    assert not Deviation(0.0101, 1.0).kept
    assert not Deviation(0.0, 0.9989).kept
    assert not Deviation(float("nan"), 1.0).kept
    assert "labels change" in Deviation(0.001, 1.0, relabelled=1.0).told("a probability")


def test_where_bfloat16_is_not_meant() -> None:
    half = calm(untied_llama()).bfloat16()
    assert settle(opened(half), ROUNDED, records(4)).precision == NOT_MEANT
    masked = opened(tiny_masked_lm(), partial(masked_lm_target, name=""), mask_tokenizer())
    assert settle(masked, ROUNDED, records(4)).precision == NOT_MEANT
    assert settle(opened(half), TargetOptions(), records(4)).precision == ""


def test_references_of_a_target_that_cannot_reduce_run_as_loaded_too() -> None:
    """The guard measures nothing here, so that no score may be rounded."""
    data, reference, closed = records(8), calm(untied_llama()), []

    def open_with(options: TargetOptions) -> Target:
        target = opened(calm(untied_llama()).bfloat16())(options)
        beside = opened(reference)(options).scorer
        return replace(target, references=(beside,), close=lambda: closed.append(options.precision))

    target = settle(open_with, ROUNDED, data)
    exact = opened(reference)(TargetOptions()).scorer.token_stats(data.prompts, data.responses)
    used = target.references[0].token_stats(data.prompts, data.responses)
    np.testing.assert_array_equal(used.logp, exact.logp)
    assert target.precision == NOT_MEANT
    assert closed == ["bfloat16"]


def test_the_sample_is_spread_over_the_lengths() -> None:
    data = records(200)
    sample = spread(data)
    lengths = sorted(len(text) for text in data.texts)
    assert len(sample) == precision_guard.RECORDS
    found = [len(text) for text in sample.texts]
    assert (min(found), max(found)) == (lengths[0], lengths[-1])
    assert spread(data).texts == sample.texts
    assert spread(records(5)).texts == records(5).texts


def test_scores_of_both_precisions_are_kept_apart(store: Store) -> None:
    data, model = records(), calm(untied_llama())
    plain, rounded = (TargetOptions(store=store, precision=name) for name in ("auto", "bfloat16"))
    first = opened(model)(plain)
    exact = first.scorer.token_stats(data.prompts, data.responses).logp
    target = settle(opened(model), rounded, data)
    assert target.scorer is not None
    assert target.identity != first.identity
    theirs = target.scorer.token_stats(data.prompts, data.responses).logp
    assert np.abs(theirs - exact).max() > 0
    again = opened(model)(plain).scorer.token_stats(data.prompts, data.responses).logp
    np.testing.assert_array_equal(again, exact)


def test_what_was_found_is_kept_between_audits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    options = TargetOptions(store=store, precision="bfloat16")
    model = calm(untied_llama())
    first = settle(opened(model), options, records())
    monkeypatch.setattr(precision_guard, "deviation", lambda *_: pytest.fail("scored again"))
    assert settle(opened(model), options, records()).precision == first.precision
    with pytest.raises(pytest.fail.Exception):
        settle(opened(model), options, records(41))


def test_the_audit_says_what_was_decided() -> None:
    config = AuditConfig.from_mapping(
        {
            "privacy": {"member": "member", "attacks": ["loss"], "bootstrap": 200, "permutations": 999},
            "scoring": {"precision": "bfloat16"},
        }
    )
    target = settle(opened(calm(untied_llama())), ROUNDED, records())
    report = run_audit(records(), target, config)
    assert report.data_summary["precision"] == target.precision
    assert report.settings["scoring"]["precision"] == "bfloat16"


def test_vllm_has_its_own() -> None:
    with pytest.raises(ConfigError, match=r"scoring\.precision"):
        AuditConfig.from_mapping({"privacy": {"member": "m"}, "scoring": {"backend": "vllm", "precision": "bfloat16"}})
