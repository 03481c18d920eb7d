"""Masked-word energy against a count by hand, and on a model that has learned its members."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from masked_models import mask_tokenizer, tiny_masked_lm
from sklearn.metrics import roc_auc_score
from tiny_models import WORDS

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.masked_energy import (
    MASKED_ENERGY,
    MASKED_LOSS,
    MaskOptions,
    energy_score,
    loss_score,
    random_masks,
)
from mlflow_clinsec.results import Status
from mlflow_clinsec.scoring.modes import evaluating
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.masked_lm import MaskedLM, masked_lm_target
from mlflow_clinsec.targets.protocols import Target

RNG = np.random.default_rng(0)


class PerWord:
    """Loses a fixed number of nats on each hidden character."""

    def __init__(self, nats: float) -> None:
        self.nats = nats

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]) -> np.ndarray:
        return np.array([self.nats * sum(stop - start for start, stop in row) for row in spans])


def records(texts: Sequence[str]) -> AuditData:
    n = len(texts)
    return AuditData(("",) * n, tuple(texts), np.arange(n), member=np.arange(n) % 2 == 0)


def target(*references: PerWord) -> Target:
    return Target("hand", "masked-lm", masked_scorer=PerWord(0.5), masked_references=references)


def test_energy_is_per_masked_word() -> None:
    data = records(["abc def ghi jkl", "ab"])  # words of three characters and of two
    assert loss_score(data, target(), MaskOptions(), RNG).tolist() == pytest.approx([-1.5, -1.0])


def test_references_are_averaged() -> None:
    data = records(["abc def ghi jkl", "ab"])
    found = energy_score(data, target(PerWord(1.0), PerWord(2.0)), MaskOptions(), RNG)
    assert found.tolist() == pytest.approx([3 * (1.5 - 0.5), 2 * (1.5 - 0.5)])


def test_a_text_without_words_is_not_scored() -> None:
    found = loss_score(records(["...", "fever"]), target(), MaskOptions(), RNG)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(-2.5)


@given(st.text(alphabet="ab ,\n", max_size=200), st.floats(0.01, 1.0), st.integers(1, 5))
def test_masks_hide_the_asked_share_and_depend_on_the_text_alone(text: str, share: float, masks: int) -> None:
    options = MaskOptions(masks=masks, share=share)
    found = random_masks(text, options)
    words = text.replace(",", " ").split()
    assert found == random_masks(text, options)
    assert len(found) == (masks if words else 0)
    for mask in found:
        assert len(mask) == len(set(mask)) == max(1, round(share * len(words)))
        assert mask == sorted(mask)
        assert all(text[start:stop].isalnum() for start, stop in mask)


def test_without_reference_the_energy_attack_is_skipped_with_the_reason() -> None:
    data = records(["no pain"] * 4)
    assert (
        "name one under privacy.reference"
        in run_attack(
            MASKED_ENERGY,
            data,
            masked_lm_target(tiny_masked_lm(), mask_tokenizer(), name="m", options=TargetOptions()),
            RNG,
        ).reason
    )
    assert run_attack(MASKED_LOSS, data, Target("x", "causal-lm"), RNG).status is Status.SKIPPED


def learned(texts: Sequence[str], steps: int) -> object:
    """The tiny masked language model after training on whole texts with random masks."""
    model, tokenizer = tiny_masked_lm(), mask_tokenizer()
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        hidden = (torch.rand(batch["input_ids"].shape, generator=generator) < 0.2) & (batch["input_ids"] > 3)
        ids = batch["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)
        labels = batch["input_ids"].masked_fill(~hidden, -100)
        loss = model(input_ids=ids, attention_mask=batch["attention_mask"], labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def test_a_model_gives_away_what_it_has_learned() -> None:
    rng = np.random.default_rng(1)
    words = [word for word in WORDS if word.isalpha()]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(60)]
    data = records(texts[:40])
    assert data.member is not None
    model, other = learned(texts[:40:2], steps=150), learned(texts[40:], steps=60)
    options = TargetOptions()
    audited = dataclasses.replace(
        masked_lm_target(model, mask_tokenizer(), name="m", options=options),
        masked_references=(MaskedLM(other, mask_tokenizer(), options),),
    )
    with evaluating(model):
        scores = energy_score(data, audited, MaskOptions(), RNG)
        alone = loss_score(data, audited, MaskOptions(), RNG)
    assert roc_auc_score(data.member, scores) > 0.75
    assert roc_auc_score(data.member, alone) > 0.75
    result = run_attack(MASKED_ENERGY.with_options(MaskOptions(bootstrap=200, permutations=999)), data, audited, RNG)
    assert result.status is Status.OK
    assert result.estimates["auc"].value == pytest.approx(roc_auc_score(data.member, scores))
