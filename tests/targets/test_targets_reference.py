from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.classifier import TextClassifier
from mlflow_clinsec.targets.reference import Kind, VisitingLabels, load_checkpoint, refuse_own_code


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


@pytest.mark.parametrize(("made", "wanted"), [("classifier", "causal language model"), ("lm", "text classifier")])
def test_a_checkpoint_of_another_kind_is_refused_instead_of_given_a_random_head(
    made: str, wanted: Kind, tmp_path: Path
) -> None:
    (tiny.tiny_gpt2_classifier() if made == "classifier" else tiny.tiny_gpt2()).save_pretrained(tmp_path)
    tiny.word_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(TargetError, match=f"holds no {wanted} .it is a GPT2"):
        load_checkpoint(tmp_path, wanted)


def test_a_classifiers_columns_follow_the_audited_models_labels() -> None:
    inner = TextClassifier(tiny.tiny_bert(), tiny.piece_tokenizer())
    turned = VisitingLabels(tiny.tiny_bert(), "auto", inner, ("died", "alive"), "models:/r/1")
    texts = ["the patient has fever", "no pain"]
    np.testing.assert_array_equal(turned.predict_proba(texts), inner.predict_proba(texts)[:, ::-1])
    assert turned.labels == ("died", "alive")
    with pytest.raises(TargetError, match="has the labels alive, died; the audited model has alive, dead"):
        VisitingLabels(tiny.tiny_bert(), "auto", inner, ("dead", "alive"), "models:/r/1")


def test_a_closed_reference_has_let_its_weights_go() -> None:
    model = tiny.tiny_bert()
    watched = weakref.ref(model)
    visitor = VisitingLabels(model, "auto", TextClassifier(model, tiny.piece_tokenizer()), ("alive", "died"), "r")
    visitor.close()
    del model
    gc.collect()
    assert watched() is None
    with pytest.raises(TargetError, match="was closed"):
        visitor.predict_proba(["no pain"])


def test_a_device_that_is_not_there_is_named_when_the_reference_is_asked() -> None:
    inner = TextClassifier(tiny.tiny_bert(), tiny.piece_tokenizer())
    visitor = VisitingLabels(tiny.tiny_bert(), "cuda:99", inner, ("alive", "died"), "r")
    with pytest.raises(TargetError, match="'cuda:99'"):
        visitor.predict_proba(["no pain"])
