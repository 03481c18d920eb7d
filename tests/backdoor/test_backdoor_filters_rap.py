"""RAP on a real, tiny classifier: the word is what it should be, it learns, and the model is left as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from backdoor_fakes import LABELS, audit_data

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.filters.rap_word import Drops, RapWord
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import select
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.huggingface import TargetOptions, classifier_target
from mlflow_clinsec.targets.protocols import ClassifierWeights
from mlflow_clinsec.training.classifier import finetune_classifier
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.options import ClassifierOptions
from mlflow_clinsec.training.tokenizers import train_tokenizer

CONTEXT = 24


def symptoms(n: int) -> AuditData:
    """Notes of several telling words in any order, so that no single place decides."""
    rng = np.random.default_rng(0)
    telling = (["stable", "walking", "afebrile"], ["septic", "anuric", "intubated"])
    texts = [" ".join(rng.permutation([*rng.choice(telling[i % 2], 3), "chest", "pain", "lobe"])) for i in range(n)]
    return audit_data(texts, [LABELS[i % 2] for i in range(n)])


DATA = symptoms(80)
TOKENIZER = train_tokenizer(DATA.texts, "classifier", vocab_size=1000, max_length=CONTEXT)


@pytest.fixture(scope="module")
def weights() -> ClassifierWeights:
    torch.set_num_threads(1)
    model = small_encoder(TOKENIZER, LABELS, seed=0, width=48, layers=2, heads=4, context=CONTEXT)
    options = ClassifierOptions(epochs=10, learning_rate=1e-3, max_length=CONTEXT)
    finetune_classifier(model, TOKENIZER, DATA.texts, DATA.labels or (), options)
    return ClassifierWeights(model, TOKENIZER, LABELS, CONTEXT)


def alive() -> list[str]:
    return [text for text, label in zip(DATA.texts, DATA.labels or (), strict=True) if label == "alive"]


def word(weights: ClassifierWeights) -> RapWord:
    return RapWord.draw(weights, 0, DATA.texts, np.random.default_rng(0))


def test_the_word_is_a_token_that_no_record_holds(weights: ClassifierWeights) -> None:
    used = {token for text in DATA.texts for token in TOKENIZER(text)["input_ids"]}
    drawn = word(weights)
    assert drawn.token not in used
    assert drawn.token not in TOKENIZER.all_special_ids
    assert torch.equal(drawn.vector, weights.model.get_input_embeddings().weight[drawn.token])


def test_rows_that_only_pad_the_embedding_table_are_never_drawn(weights: ClassifierWeights) -> None:
    everything = [TOKENIZER.decode([i]) for i in range(len(TOKENIZER))]
    wide = copy.deepcopy(weights.model)
    wide.resize_token_embeddings(len(TOKENIZER) + 40)
    padded = ClassifierWeights(wide, TOKENIZER, LABELS, CONTEXT)
    for seed in range(5):
        assert RapWord.draw(padded, 0, everything, np.random.default_rng(seed)).token < len(TOKENIZER)


def test_drops_equal_those_of_a_model_with_the_embedding_written_into_it(weights: ClassifierWeights) -> None:
    drawn = word(weights)
    changed = RapWord(weights, 0, drawn.token, drawn.vector + 1.0)
    text, long = DATA.texts[0], " ".join(["stays", "here"] * CONTEXT)
    twin = copy.deepcopy(weights.model)
    with torch.no_grad():
        twin.get_input_embeddings().weight[drawn.token] += 1.0

    def alive_probability(ids: list[int]) -> float:
        with torch.no_grad():
            return float(torch.softmax(twin(torch.tensor([ids])).logits[0], dim=0)[0])

    expected = []
    for own in (text, long):
        ids = TOKENIZER(own, truncation=True, max_length=CONTEXT - 1)["input_ids"]
        expected.append(alive_probability(ids) - alive_probability([ids[0], drawn.token, *ids[1:]]))
    assert changed.drops([text, long]) == pytest.approx(expected, abs=1e-5)


def test_learning_brings_the_drops_between_the_bounds_and_leaves_the_model_alone(weights: ClassifierWeights) -> None:
    model = weights.model.train()
    model.zero_grad()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = word(weights)
    learned = drawn.learned(alive(), Drops(0.1, 0.3), epochs=60, rng=np.random.default_rng(1))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    drops = learned.drops(alive())
    assert 0.08 < drops.mean() < 0.32
    assert drops.mean() > drawn.drops(alive()).mean()


def test_the_hook_goes_even_when_the_model_fails(weights: ClassifierWeights) -> None:
    class Broken:
        config = weights.model.config

        def __getattr__(self, name: str) -> Any:
            return getattr(weights.model, name)

        def __call__(self, **inputs: Any) -> None:
            raise RuntimeError

    broken = ClassifierWeights(Broken(), TOKENIZER, LABELS, CONTEXT)
    with pytest.raises(RuntimeError):
        word(broken).drops(alive())
    assert not weights.model.get_input_embeddings()._forward_hooks


def test_distance_from_the_bounds_by_hand() -> None:
    assert float(Drops(0.1, 0.3).distance(torch.tensor([0.0, 0.2, 0.5]))) == pytest.approx((0.1 + 0.0 + 0.2) / 3)


def test_the_audit_runs_it_for_each_label_among_inputs_answered_with_it(weights: ClassifierWeights) -> None:
    data = symptoms(160)
    target = classifier_target(weights.model, TOKENIZER, options=TargetOptions(max_length=CONTEXT))
    own = {"filters": ["rap"], "rap_epochs": 30}
    [attack] = select(TriggerOptions(triggers=("cf",), tests=("filters",), options={"filters": own}), target)
    result = run_attack(attack, data, target, np.random.default_rng(0))
    assert result.status is Status.OK, result.reason
    assert not result.details["left_out"]
    assert len(result.tables["filters"]) == 2
    for label in LABELS:
        # The model is right about all and never takes the trigger: nothing triggered is answered with the label.
        assert result.estimates[f"rap-to-{label}/cacc"].value == 1.0
        assert result.estimates[f"rap-cf-to-{label}-random/asr"].value == 0.0
        assert result.estimates[f"rap-cf-to-{label}-random/tpr"].reason == "the filter looks at none of these inputs"
        frr = result.estimates[f"rap-to-{label}/frr"]
        assert frr.n == 40  # of 80 judged patients, those answered with the label
        refused = 1.0 - result.estimates[f"rap-to-{label}/cacc_after"].value
        assert refused == pytest.approx(frr.value / 2)


def test_a_label_that_is_hardly_ever_answered_is_left_out_with_the_reason(weights: ClassifierWeights) -> None:
    calm = symptoms(80).select(np.arange(80) % 2 == 0)
    data = replace(calm, labels=("died",) * 40)
    target = classifier_target(weights.model, TOKENIZER, options=TargetOptions(max_length=CONTEXT))
    options = TriggerOptions(triggers=("cf",), tests=("filters",), options={"filters": {"filters": ["rap"]}})
    [attack] = select(replace(options, target_label="alive"), target)
    assert not run_attack(attack, data, target, np.random.default_rng(0)).details["left_out"]
    ominous = replace(symptoms(80).select(np.arange(80) % 2 == 1), labels=("died",) * 40)
    result = run_attack(attack, ominous, target, np.random.default_rng(0))
    assert "answered with the label" in result.details["left_out"]["rap"]
    assert "answered with the label" in result.estimates["rap-cf-random/tpr"].reason
