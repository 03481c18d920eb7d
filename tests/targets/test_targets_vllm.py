"""vLLM as a scorer. It is not installed where the tests run: a stand-in with real log-probabilities takes its place."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_vllm
import numpy as np
import pytest
import tiny_models as tiny
import torch
from fake_vllm import Seen
from peft import LoraConfig, get_peft_model
from target_data import NOTES, make_data
from transformers import pipeline

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.errors import ConfigError, NotApplicableError, TargetError
from mlflow_clinsec.privacy import ez, loss, min_k
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets import vllm_process
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.protocols import Target, TokenStats
from mlflow_clinsec.targets.resolve import resolve
from mlflow_clinsec.targets.resolve_reference import with_references
from mlflow_clinsec.targets.vllm_target import vllm_target

PROMPTS = ("", "has the patient a cough", "", "pain", "")
RESPONSES = ("the patient has fever", "no cough", "stable", "no pain in left chest", "fever and cough . " * 12)
OPTIONS = TargetOptions(backend="vllm")
RNG = np.random.default_rng(0)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    yield fake_vllm.install(monkeypatch)
    vllm_process._OPEN.clear()
    vllm_process._ENDED.clear()


def both(options: TargetOptions = OPTIONS, model: Any = None) -> tuple[Target, Target]:
    """The same model scored by vLLM and by transformers."""
    model = model or tiny.tiny_gpt2()
    tokenizer = tiny.word_tokenizer()
    return vllm_target(model, tokenizer, options=options), causal_lm_target(model, tokenizer, options=options)


def stats_of(target: Target) -> TokenStats:
    assert target.scorer is not None
    return target.scorer.token_stats(PROMPTS, RESPONSES)


@pytest.mark.parametrize(
    "options",
    [OPTIONS, TargetOptions(backend="vllm", scope="full"), TargetOptions(backend="vllm", max_length=8)],
    ids=["answers", "everything", "windows"],
)
def test_the_same_scores_of_the_same_tokens(options: TargetOptions, seen: Seen) -> None:
    ours, theirs = map(stats_of, both(options))
    np.testing.assert_array_equal(ours.offsets, theirs.offsets)
    np.testing.assert_array_equal(ours.token_ids, theirs.token_ids)
    np.testing.assert_allclose(ours.logp, theirs.logp, atol=1e-4)
    np.testing.assert_allclose(ours.top, theirs.top, atol=1e-4)
    assert (ours.mean, ours.std) == (None, None)


def test_behind_other_records(seen: Seen) -> None:
    shots = [("", "the patient was given aspirin"), ("cough", "no")]
    found, expected = (target.context_scorer.stats_after(shots, PROMPTS, RESPONSES) for target in both())
    np.testing.assert_allclose(found.logp, expected.logp, atol=1e-4)


def test_a_context_is_filled_but_for_one_token(seen: Seen) -> None:
    """vLLM takes a prompt only where one more token would have room."""
    target, _ = both(model=tiny.tiny_gpt2(positions=16))
    assert seen.settings[0]["max_model_len"] == 16
    stats = stats_of(target)
    assert stats.counts[-1] == 48  # 12 times 4 words, each once
    assert np.isfinite(stats.logp).all()


def test_what_the_engine_is_told(seen: Seen) -> None:
    model = tiny.tiny_llama().to(torch.bfloat16)
    target, _ = both(TargetOptions(backend="vllm", batch_tokens=128, max_length=20), model)
    [settings] = seen.settings
    wanted = {"dtype": "bfloat16", "trust_remote_code": False, "max_model_len": 21, "max_num_batched_tokens": 128}
    assert wanted.items() <= settings.items()
    assert settings["enable_prefix_caching"] is False  # what is cached has no log-probabilities
    config = model.config
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    assert settings["kv_cache_memory_bytes"] == 4096 * per_token
    assert not seen.folders[0].exists()
    assert target.attention is not None


def test_the_process_is_left_as_it_was(seen: Seen) -> None:
    before = dict(os.environ)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    set_threads = torch.set_num_threads
    both()
    assert dict(os.environ) == before
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[:2]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    assert torch.set_num_threads is set_threads
    assert seen.environment[0]["VLLM_NO_USAGE_STATS"] == "1"
    assert seen.environment[0]["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_attacks_that_need_the_whole_distribution_are_skipped(seen: Seen) -> None:
    data = make_data()
    target, plain = both()
    with pytest.raises(NotApplicableError, match="whole next-token distribution"):
        min_k.score_plus_plus(data, target, min_k.MinKOptions(), RNG)
    for score, options in ((loss.score, loss.LOSS.options), (min_k.score, min_k.MinKOptions())):
        expected = score(data, plain, options, RNG)
        np.testing.assert_allclose(score(data, target, options, RNG), expected, atol=1e-4)


class TestReferences:
    def test_scored_by_vllm_too(self, seen: Seen, tmp_path: Path) -> None:
        folder = str(saved(tmp_path / "reference"))
        data = make_data()
        found, expected = (
            with_references(target, [folder], options)
            for target, options in zip(both(model=tiny.tiny_gpt2()), (OPTIONS, TargetOptions()), strict=True)
        )
        assert found.reference is not None
        assert len(seen.settings) == 2
        scores = [ez.score(data, target, ez.EZ.options, RNG) for target in (found, expected)]
        np.testing.assert_allclose(*scores, atol=1e-2)

    def test_all_engines_end_together(self, seen: Seen, tmp_path: Path) -> None:
        folder = str(saved(tmp_path / "reference"))
        found = with_references(both()[0], [folder], OPTIONS)
        other, _ = both()
        found.close()
        assert (seen.shut, seen.cleaned) == (0, 0)  # ending one would take the process groups from the third
        stats_of(other)
        other.close()
        assert (seen.shut, seen.cleaned) == (3, 1)
        found.close()
        assert (seen.shut, seen.cleaned) == (3, 1)

    def test_none_is_left_where_a_later_one_fails(self, seen: Seen, tmp_path: Path) -> None:
        folder, empty = saved(tmp_path / "reference"), tmp_path / "empty"
        empty.mkdir()
        target, _ = both()
        with pytest.raises(TargetError, match="empty"):
            with_references(target, [str(folder), str(empty)], OPTIONS)
        target.close()
        assert seen.shut == 2


def saved(folder: Path) -> Path:
    tiny.tiny_gpt2().save_pretrained(folder)
    tiny.word_tokenizer().save_pretrained(folder)
    return folder


class TestKept:
    def test_apart_from_scores_by_transformers(self, seen: Seen, cache_folder: Path) -> None:
        store = Store(cache_folder, 1.0)
        plain = causal_lm_target(tiny.tiny_gpt2(), tiny.word_tokenizer(), options=TargetOptions(store=store))
        moments = stats_of(plain)
        assert plain.identity
        options = TargetOptions(store=store, backend="vllm")
        first = vllm_target(tiny.tiny_gpt2(), tiny.word_tokenizer(), options=options)
        assert "vllm 0.32.0" in first.identity
        scored = stats_of(first)
        assert seen.calls == [1, 5]  # a trial of the engine, and the texts
        again = stats_of(vllm_target(tiny.tiny_gpt2(), tiny.word_tokenizer(), options=options))
        assert seen.calls == [1, 5, 1]
        store.close()
        assert moments.mean is not None
        assert again.mean is None
        for name in ("offsets", "logp", "top", "token_ids"):
            np.testing.assert_array_equal(getattr(again, name), getattr(scored, name))


class TestRefused:
    def test_where_vllm_is_absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mlflow_clinsec.targets.vllm_engine.find_spec", lambda name: None)
        model = tiny.tiny_gpt2()
        monkeypatch.setattr(model, "forward", None)  # nothing is scored
        with pytest.raises(TargetError, match=r"scoring.backend: 'vllm' is not installed.*pip install vllm"):
            resolve(Logged("text-generation", model), data=make_data(), options=OPTIONS)

    def test_other_kinds_of_models(self, seen: Seen) -> None:
        classifier = Logged("text-classification", tiny.tiny_bert(), tiny.piece_tokenizer())
        with pytest.raises(TargetError, match=r"causal language models .*only; this is a pipeline for 'text-class"):
            resolve(classifier, data=make_data(), options=OPTIONS)
        with pytest.raises(TargetError, match="another kind of model"):
            resolve(None, data=make_data(), options=OPTIONS)
        assert not seen.settings

    def test_what_vllm_would_score_otherwise(self, seen: Seen) -> None:
        adapted = get_peft_model(tiny.tiny_llama(), LoraConfig(target_modules=["q_proj"], r=2))
        patched = tiny.tiny_gpt2()
        patched.transformer.h[0].register_forward_hook(lambda module, inputs, output: output)
        quantised = tiny.tiny_gpt2()
        quantised.is_quantized = True
        for model, why in ((adapted, "merge_and_unload"), (patched, "its code"), (quantised, "quantised")):
            with pytest.raises(TargetError, match=why):
                vllm_target(model, tiny.word_tokenizer(), options=OPTIONS)
        assert not seen.settings

    def test_an_engine_that_does_not_start(self, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mlflow_clinsec.targets.vllm_engine.width_of", lambda model, length: 64)
        with pytest.raises(TargetError, match=r"cannot run this model here .ValueError: max_model_len 65"):
            both()

    def test_a_model_that_fails_at_its_first_prompt(self, seen: Seen) -> None:
        seen.broken = True
        with pytest.raises(TargetError, match="cannot run this model here"):
            both()
        assert (seen.shut, seen.cleaned) == (1, 1)

    def test_no_text_in_what_it_says(self, seen: Seen) -> None:
        target, _ = both()
        seen.broken = True
        with pytest.raises(TargetError, match="vLLM failed on 5 texts: RuntimeError") as error:
            stats_of(target)
        assert "fever" not in str(error.value)
        assert error.value.__suppress_context__
        seen.broken = False
        assert seen.shut == 1  # what a broken engine did not finish stands before the next texts for ever
        with pytest.raises(TargetError, match="was closed"):
            stats_of(target)

    def test_nor_where_a_broken_engine_cannot_be_closed(self, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        target, _ = both()
        seen.broken = True
        monkeypatch.setattr("mlflow_clinsec.targets.vllm_engine.ended", lambda llm: 1 / 0)
        with pytest.raises(TargetError, match="vLLM failed on 5 texts: RuntimeError") as error:
            stats_of(target)
        assert error.value.__suppress_context__

    def test_after_closing(self, seen: Seen) -> None:
        target, _ = both()
        target.close()
        with pytest.raises(TargetError, match="was closed"):
            stats_of(target)

    def test_a_device_beside_it(self) -> None:
        with pytest.raises(ConfigError, match=r"scoring.device: vLLM"):
            AuditConfig.from_mapping(
                {"privacy": {"member": "m"}, "scoring": {"backend": "vllm", "device": "cuda:1"}},
            )


class Logged:
    """A transformers-flavour model as MLflow hands it over."""

    def __init__(self, task: str, model: Any, tokenizer: Any = None) -> None:
        self.metadata = type("Metadata", (), {"flavors": {"transformers": {}}})()
        self._pipeline = pipeline(task, model=model, tokenizer=tokenizer or tiny.word_tokenizer())

    def get_raw_model(self) -> Any:
        return self._pipeline


def test_resolved_with_its_reference(seen: Seen, tmp_path: Path) -> None:
    folder = str(saved(tmp_path / "reference"))
    target = resolve(
        Logged("text-generation", tiny.tiny_llama()), data=make_data(), options=OPTIONS, references=[folder]
    )
    assert (target.kind, len(seen.settings)) == ("causal-lm", 2)
    assert target.scorer is not None
    plain = causal_lm_target(tiny.tiny_llama(), tiny.word_tokenizer())
    assert plain.scorer is not None
    answers = [each.token_stats([""] * len(NOTES), NOTES).nll() for each in (target.scorer, plain.scorer)]
    np.testing.assert_allclose(*answers, atol=1e-4)
    target.close()
    assert seen.shut == 2
