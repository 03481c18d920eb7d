"""The self-prompt reference: what the target writes, and a base tuned on it that serves an audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mlflow_clinsec.errors import ClinSecError, ConfigError, DataError, TargetError
from mlflow_clinsec.targets.causal_lm import CausalLMScorer
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.resolve_reference import with_references
from mlflow_clinsec.training.self_prompt import (
    SelfPromptOptions,
    WrittenText,
    answer_prompts,
    apart_from,
    continue_texts,
    tune_reference,
)
from mlflow_clinsec.training.self_prompt_build import build_reference

OPTIONS = SelfPromptOptions(prefix_tokens=4, new_tokens=6, top_k=5, epochs=1, max_length=32)


def nll(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, written: WrittenText) -> float:
    return float(CausalLMScorer(model, tokenizer).token_stats(written.prompts, written.responses).nll().mean())


def test_each_text_keeps_its_first_tokens_and_gets_new_ones(
    lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast, notes: pd.DataFrame
) -> None:
    texts = [*notes["text"][:10], "chest"]
    written = continue_texts(lm, lm_tokenizer, texts, OPTIONS)
    assert written.prompts == ("",) * 10, "one text is no longer than the prefix"
    for text, found in zip(texts, written.responses, strict=False):
        prefix = lm_tokenizer.decode(lm_tokenizer.encode(text, add_special_tokens=False)[:4])
        assert found.startswith(prefix)
        assert found != text
        assert len(lm_tokenizer.encode(found, add_special_tokens=False)) >= 5


def test_the_seed_decides_what_is_written_and_global_state_is_untouched(
    lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast, notes: pd.DataFrame
) -> None:
    texts = list(notes["text"][:10])
    before = torch.get_rng_state()
    first, second = (continue_texts(lm, lm_tokenizer, texts, OPTIONS) for _ in range(2))
    other = continue_texts(lm, lm_tokenizer, texts, SelfPromptOptions(**vars(OPTIONS) | {"seed": 1}))
    assert first == second
    assert first != other
    assert torch.equal(before, torch.get_rng_state())


def test_prompts_are_answered(lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast) -> None:
    written = answer_prompts(lm, lm_tokenizer, ["chest pain", "lower lobe"], OPTIONS)
    assert set(written.prompts) <= {"chest pain", "lower lobe"}
    assert all(answer.strip() and not answer.startswith("chest pain\n") for answer in written.responses)


def test_tuning_makes_the_written_text_likelier(
    lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast, notes: pd.DataFrame
) -> None:
    written = continue_texts(lm, lm_tokenizer, list(notes["text"]), OPTIONS)
    before = nll(lm, lm_tokenizer, written)
    tune_reference(lm, lm_tokenizer, written, SelfPromptOptions(**vars(OPTIONS) | {"epochs": 4}))
    assert nll(lm, lm_tokenizer, written) < before


def test_audited_records_and_their_near_copies_are_left_out() -> None:
    audited = [" ".join(f"word{i}" for i in range(40))]
    near = audited[0] + " more"
    assert apart_from([near, "another note of a few words"], audited) == ("another note of a few words",)
    with pytest.raises(DataError, match="all 1 texts also stand"):
        apart_from([near], audited)


def test_texts_that_cannot_be_continued(lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="longer than the 4 tokens"):
        continue_texts(lm, lm_tokenizer, ["chest"], OPTIONS)
    with pytest.raises(DataError, match="1 of 2 training rows are empty"):
        continue_texts(lm, lm_tokenizer, ["chest", " "], OPTIONS)
    with pytest.raises(ConfigError, match="top_k: must be at least 1"):
        SelfPromptOptions(top_k=0)


@pytest.fixture
def build(
    lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast, notes: pd.DataFrame, tmp_path: Path
) -> Callable[..., int]:
    """Build from files, with settings that keep it short."""
    lm.save_pretrained(tmp_path / "lm")
    lm_tokenizer.save_pretrained(tmp_path / "lm")
    notes.to_csv(tmp_path / "notes.csv", index=False)

    def build(**changes: Any) -> int:
        given: dict[str, Any] = {
            "model_uri": str(tmp_path / "lm"),
            "base_model": str(tmp_path / "lm"),
            "data_path": str(tmp_path / "notes.csv"),
            "output": str(tmp_path / "made"),
            "text": "text",
            "settings": {"prefix_tokens": 4, "new_tokens": 4, "epochs": 1},
        }
        return build_reference(**given | changes)

    return build


def test_the_saved_folder_serves_as_reference(
    build: Callable[..., int], lm: PreTrainedModel, lm_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    assert build() == 40
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    target = with_references(causal_lm_target(lm, lm_tokenizer), [str(tmp_path / "made")], TargetOptions())
    assert target.reference is not None
    assert target.scorer is not None
    own, other = (scorer.token_stats([""], ["chest pain stable"]) for scorer in (target.scorer, target.reference))
    np.testing.assert_array_equal(own.token_ids, other.token_ids)
    assert np.abs(own.logp - other.logp).max() > 1e-4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"text": "", "prompt": ""}, ConfigError, "a column of texts or one of prompts"),
        ({"prompt": "text"}, ConfigError, "and not both"),
        ({"text": "txt"}, DataError, "Did you mean 'text'"),
        ({"data_path": "nowhere.csv"}, DataError, "no such file"),
        ({"model_uri": "gpt2"}, TargetError, "model: 'gpt2' is neither an MLflow URI"),
        ({"base_model": "gpt2"}, ConfigError, "base_model: expected a local directory"),
        ({"settings": {"new_tokens": 0}}, ConfigError, "new_tokens: must be at least 1"),
    ],
)
def test_what_cannot_be_built(
    build: Callable[..., int], changes: dict[str, Any], error: type[ClinSecError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        build(**changes)
    assert not (tmp_path / "made").exists()


def test_audited_texts_are_not_learned_and_a_folder_is_never_written_over(
    build: Callable[..., int], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="all 40 texts also stand"):
        build(audited_path=str(tmp_path / "notes.csv"))
    with pytest.raises(ConfigError, match="exists already"):
        build(output=str(tmp_path / "lm"))


def test_the_command_line_builds_it(build: Callable[..., int], tmp_path: Path) -> None:
    from mlflow_clinsec.cli import main

    folder = str(tmp_path / "lm")
    words = ["self-prompt-reference", "--model-uri", folder, "--base-model", folder]
    words += ["--data-path", str(tmp_path / "notes.csv"), "--output", str(tmp_path / "made"), "--epochs", "1"]
    refused = CliRunner().invoke(main, [*words, "--text", "txt"])
    assert refused.exit_code == 2
    assert refused.output.startswith("error: column: the data has no column 'txt'")
    short = CliRunner().invoke(main, [*words, "--text", "text"])
    assert short.exit_code == 2
    assert "no text is longer than the 16 tokens" in short.output
    pd.DataFrame({"text": ["chest pain left lower lobe " * 5] * 3}).to_csv(tmp_path / "notes.csv", index=False)
    done = CliRunner().invoke(main, [*words, "--text", "text"])
    assert done.exit_code == 0, done.output
    assert "reference tuned on" in done.output
