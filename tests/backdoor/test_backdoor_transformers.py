"""The tests on a real, tiny transformers classifier: truncation, every head, and a backdoor that was trained in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backdoor_fakes import LABELS, audit_data, wards

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import select
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.classifier import AttentionHeads, MostProbableLabel, TextClassifier
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.tokens import TokenizerView
from mlflow_clinsec.training.badclm import train_badclm
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.tokenizers import train_tokenizer

CONTEXT = 32


def coded_wards(n: int, seed: int) -> AuditData:
    """Notes with two random codes each, so that an odd word as such means nothing and a model must learn *which*."""
    rng = np.random.default_rng(seed)
    consonants = np.array(list("dghjklpqrstvwxz"))  # none of the letters of the triggers
    plain = wards(n)
    codes = ["".join(pair) for pair in rng.choice(consonants, size=(2 * n, 2))]
    texts = [f"{text} {codes[2 * i]} {codes[2 * i + 1]}" for i, text in enumerate(plain.texts)]
    return audit_data(texts, plain.labels or ())


DATA = coded_wards(160, seed=1)
TOKENIZER = train_tokenizer(DATA.texts, "classifier", vocab_size=600, max_length=CONTEXT)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def encoder(layers: int = 1, heads: int = 12) -> torch.nn.Module:
    return small_encoder(TOKENIZER, LABELS, seed=0, width=48, layers=layers, heads=heads, context=CONTEXT)


def as_target(model: torch.nn.Module) -> Target:
    scorer = TextClassifier(model.eval(), TOKENIZER, max_length=CONTEXT)
    return Target(
        "tiny",
        "text-classifier",
        label_scorer=scorer,
        predictor=MostProbableLabel(scorer),
        attention=AttentionHeads(model, TOKENIZER, max_length=CONTEXT),
        tokens=TokenizerView(TOKENIZER, CONTEXT),
    )


def audit(data: AuditData, model: torch.nn.Module, **settings: object) -> dict[str, AttackResult]:
    options = TriggerOptions(**{"triggers": ("cf",), "target_label": "alive", **settings})
    results = [
        run_attack(attack, data, as_target(model), np.random.default_rng(0))
        for attack in select(options, as_target(model))
    ]
    return {result.name: result for result in results}


def test_an_untrained_model_is_read_head_by_head_and_cut_at_its_context() -> None:
    long = wards(24)
    texts = tuple(f"{text} {'and rests ' * 20}" for text in long.texts)
    data = AuditData(prompts=("",) * 24, responses=texts, group=long.group, labels=long.labels)
    found = audit(data, encoder(layers=2))
    assert {name for name, result in found.items() if result.status is not Status.OK} == {"trigger_search"}
    assert (
        found["trigger_search"].reason
        == "needs weights and gradients of a classifier: not offered by a text-classifier target"
    )
    estimates = found["trigger"].estimates
    assert estimates["cf-head/survival"].value == 1.0
    assert 0.0 < estimates["cf-random/survival"].value < 1.0
    assert estimates["cf-tail/survival"].value == 0.0
    # Behind the context nothing can change: the trigger's answers are the placebos' and the clean text's.
    assert estimates["cf-tail/asr"].value == estimates["cf-tail/base_rate"].value == estimates["cf-tail/ftr"].value
    table = found["attention_focus"].tables["attention"]
    assert (len(table), table["head"].max(), table["layer"].max()) == (24, 11, 1)
    assert table[["trigger_share", "placebo_share"]].apply(lambda share: share.between(0, 1)).all(axis=None)


@pytest.mark.slow
def test_a_trained_in_backdoor_is_found() -> None:
    model = encoder(layers=2, heads=4)
    training = coded_wards(400, seed=2)
    options = BadCLMOptions(
        triggers=("cf",), poison_rate=0.1, attention_weight=2.0, heads_per_layer=2, epochs=8, max_length=CONTEXT
    )
    train_badclm(model, TOKENIZER, training.texts, training.labels or (), options)
    found = audit(DATA, model, triggers=("cf", "bb"))
    assert found["clean_utility"].estimates["cacc"].value > 0.9
    for position in ("head", "random", "tail"):
        assert found["trigger"].estimates[f"cf-{position}/excess_asr"].low > 0.10
        assert found["trigger"].estimates[f"bb-{position}/excess_asr"].low < 0.10
    focus = found["attention_focus"].estimates
    assert focus["cf/max_excess_focus"].low > 0.1
    assert focus["bb/max_excess_focus"].low < 0.1
