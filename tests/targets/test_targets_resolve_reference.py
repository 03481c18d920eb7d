"""Several reference models from local folders; logged ones are covered beside ``resolve``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from target_data import NOTES, make_data

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.errors import ConfigError, TargetError
from mlflow_clinsec.privacy.log_ratio import score as log_ratio
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.privacy.reference import score as reference_gap
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target, classifier_target
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.resolve import resolve
from mlflow_clinsec.targets.resolve_reference import with_references

OPTIONS = TargetOptions()
RNG = np.random.default_rng(0)


def shaken(model: Any, seed: int) -> Any:
    """The model with a little noise on all weights."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=noise)
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Checkpoint folders by name."""
    root = tmp_path_factory.mktemp("references")
    bert = {"labels": {0: "died", 1: "alive"}}
    made = {
        "one": (shaken(tiny.tiny_gpt2(), 1), tiny.word_tokenizer()),
        "two": (shaken(tiny.tiny_gpt2(), 2), tiny.word_tokenizer()),
        "letters": (tiny.tiny_gpt2(vocab_size=300), tiny.byte_pair_tokenizer()),
        "turned": (shaken(tiny.tiny_bert(**bert), 3), tiny.piece_tokenizer()),
        "numbered": (tiny.tiny_bert(labels={0: "LABEL_0", 1: "LABEL_1"}), tiny.piece_tokenizer()),
        "other": (tiny.tiny_bert(labels={0: "sick", 1: "well"}), tiny.piece_tokenizer()),
    }
    for name, parts in made.items():
        for part in parts:
            part.save_pretrained(root / name)
    return lambda name: str(root / name)


def language_model() -> Target:
    return causal_lm_target(tiny.tiny_gpt2(), tiny.word_tokenizer())


def test_several_folders_in_order(folders: Callable[[str], str]) -> None:
    target = with_references(language_model(), [folders("one"), folders("two")], OPTIONS)
    assert len(target.references) == 2
    assert target.reference is target.references[0]
    empty = ("",) * len(NOTES)
    for seed, scorer in zip((1, 2), target.references, strict=True):
        expected = causal_lm_target(shaken(tiny.tiny_gpt2(), seed), tiny.word_tokenizer()).scorer
        assert expected is not None
        logp = expected.token_stats(empty, NOTES).logp
        np.testing.assert_allclose(scorer.token_stats(empty, NOTES).logp, logp, atol=1e-5)
    target.close()
    with pytest.raises(TargetError, match="was closed"):
        target.references[1].token_stats([""], ["new text"])


def test_a_reference_with_other_tokens_serves_whole_texts_only(folders: Callable[[str], str]) -> None:
    data = make_data()
    both = with_references(language_model(), [folders("letters"), folders("one")], OPTIONS)
    alone = with_references(language_model(), [folders("one")], OPTIONS)
    options = MembershipOptions()
    np.testing.assert_allclose(log_ratio(data, both, options, RNG), log_ratio(data, alone, options, RNG))
    assert np.isfinite(reference_gap(data, both, options, RNG)).all()
    assert np.abs(reference_gap(data, both, options, RNG) - reference_gap(data, alone, options, RNG)).max() > 0.01


def test_reference_classifiers_are_matched_by_name(folders: Callable[[str], str]) -> None:
    target = with_references(classifier_target(tiny.tiny_bert(), tiny.piece_tokenizer()), [folders("turned")], OPTIONS)
    assert target.label_reference is not None
    assert target.references == ()
    expected = classifier_target(shaken(tiny.tiny_bert(), 3), tiny.piece_tokenizer()).label_scorer
    assert expected is not None
    np.testing.assert_allclose(
        target.label_reference.predict_proba(NOTES), expected.predict_proba(NOTES)[:, ::-1], atol=1e-6
    )


def test_numbered_classes_take_the_given_names_on_both_sides(folders: Callable[[str], str]) -> None:
    names = ["alive", "died"]
    numbered = tiny.tiny_bert(labels={0: "LABEL_0", 1: "LABEL_1"})
    target = classifier_target(numbered, tiny.piece_tokenizer(), labels=names)
    found = with_references(target, [folders("numbered")], OPTIONS, names)
    assert found.label_reference is not None
    assert found.label_reference.labels == ("alive", "died")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "has the labels sick, well; the audited model has alive, died"),
        ("one", "holds no text classifier .it is a GPT2LMHeadModel"),
    ],
)
def test_what_cannot_stand_beside_a_classifier(name: str, message: str, folders: Callable[[str], str]) -> None:
    with pytest.raises(TargetError, match=message):
        with_references(classifier_target(tiny.tiny_bert(), tiny.piece_tokenizer()), [folders(name)], OPTIONS)


def test_a_classifier_beside_a_language_model_is_refused(folders: Callable[[str], str]) -> None:
    with pytest.raises(TargetError, match="holds no causal language model"):
        with_references(language_model(), [folders("turned")], OPTIONS)


def test_a_missing_path_is_found_before_any_model_is_loaded(
    folders: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def untouchable(*arguments: Any) -> Any:
        raise AssertionError("a reference was loaded")

    monkeypatch.setattr("mlflow_clinsec.targets.resolve_reference.load_pair", untouchable)
    data = make_data(precomputed={"nll": np.arange(6.0)})
    with pytest.raises(TargetError, match="'nowhere' is neither an MLflow URI"):
        resolve(None, data=data, references=(folders("one"), "nowhere"))


def test_a_model_that_gives_labels_only_has_nothing_to_compare(folders: Callable[[str], str]) -> None:
    data = make_data(precomputed={"prediction": np.array(["alive"] * 6, dtype=object)})
    with pytest.raises(TargetError, match="gives no probabilities"):
        resolve(None, data=data, references=(folders("one"),))


def test_columns_may_stand_beside_loaded_references(folders: Callable[[str], str]) -> None:
    data = make_data(precomputed={"nll": np.arange(6.0), "reference_nll": np.ones((6, 3))})
    assert len(resolve(None, data=data).references) == 3
    assert len(resolve(None, data=data, references=(folders("one"),)).references) == 1


@pytest.mark.parametrize("given", [[], ["a", "a"]])
def test_lists_that_name_nothing_or_one_model_twice(given: list[str]) -> None:
    with pytest.raises(ConfigError, match="one model, or a list of different ones"):
        AuditConfig.from_mapping({"privacy": {"member": "m", "reference": given}})


@pytest.mark.parametrize(("given", "read"), [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b"))])
def test_one_place_or_a_list(given: Any, read: tuple[str, ...]) -> None:
    config = AuditConfig.from_mapping({"privacy": {"member": "m", "reference": given}})
    assert config.privacy is not None
    assert config.privacy.references == read


def test_another_type_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"privacy\.reference: expected text, got 5.*or expected a list"):
        AuditConfig.from_mapping({"privacy": {"member": "m", "reference": 5}})
