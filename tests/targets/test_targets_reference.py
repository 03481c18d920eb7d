from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models as tiny

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.reference import load_checkpoint, refuse_own_code


def test_a_local_checkpoint_is_loaded(tmp_path: Path) -> None:
    tiny.tiny_llama().save_pretrained(tmp_path)
    tiny.word_tokenizer().save_pretrained(tmp_path)
    model, tokenizer = load_checkpoint(tmp_path)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert not model.training
    assert len(tokenizer) == len(tiny.word_tokenizer())


def test_code_that_comes_with_a_checkpoint_is_refused(tmp_path: Path) -> None:
    tiny.tiny_llama().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    with pytest.raises(TargetError, match="trust_remote_code"):
        load_checkpoint(tmp_path)
    (tmp_path / "broken_config.json").write_text("{")
    with pytest.raises(TargetError, match="trust_remote_code"):
        refuse_own_code(tmp_path.parent)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="holds no causal language model"):
        load_checkpoint(tmp_path)
    tiny.tiny_llama().save_pretrained(tmp_path)
    with pytest.raises(TargetError, match="with its tokeniser"):
        load_checkpoint(tmp_path)
