"""Attacks on masked language models: how well the model knows words that are hidden from it.

Source: Mireshghallah 2022 (arXiv 2203.03929, section 3): the energy of a record is the loss of its words when 15% of
them are masked, summed over k fixed random masks; a member's energy is low beyond what a reference model explains.

Departures: whole words are masked, the same ones for every model, and losses are given per masked word, so that a
reference with another tokeniser can serve and long records compare with short ones. The masks are drawn from the text,
so a record's score depends on no other record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions, membership_attack
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.companion_protocols import MaskedScorer, Span
from mlflow_clinsec.targets.protocols import Target

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class MaskOptions(MembershipOptions):
    """Attributes:
    masks: k, random masks per record.
    share: share of words hidden by each.
    """

    masks: int = setting(10, low=1, high=1000)
    share: float = setting(0.15, low=0.001, high=1.0)


def loss_score(data: AuditData, target: Target, options: MaskOptions, rng: np.random.Generator) -> FloatArray:
    """-energy in nats per masked word, shape (n_records,); NaN for a text without words."""
    assert target.masked_scorer is not None
    return -energy(data, target.masked_scorer, options)


def energy_score(data: AuditData, target: Target, options: MaskOptions, rng: np.random.Generator) -> FloatArray:
    """Mean energy under the references less the energy under the target, in nats per masked word."""
    assert target.masked_scorer is not None
    references = [energy(data, model, options) for model in target.masked_references]
    return np.mean(references, axis=0) - energy(data, target.masked_scorer, options)


def energy(data: AuditData, model: MaskedScorer, options: MaskOptions) -> FloatArray:
    """Loss of the hidden words over all masks, divided by their number, shape (n_records,)."""
    masks = [random_masks(text, options) for text in data.texts]
    owner = np.repeat(np.arange(len(data)), [len(row) for row in masks])
    spans = [mask for row in masks for mask in row]
    losses = model.masked_losses([data.texts[i] for i in owner], spans)
    sums = np.bincount(owner, weights=losses, minlength=len(data))
    words = np.bincount(owner, weights=[len(mask) for mask in spans], minlength=len(data))
    return np.where(words > 0, sums / np.maximum(words, 1), np.nan)


def random_masks(text: str, options: MaskOptions) -> list[list[Span]]:
    """``options.masks`` draws of ``options.share`` of the text's words (one at least), as character ranges, ascending;
    none when there is no word. They depend on the text alone."""
    words = [found.span() for found in _WORD.finditer(text)]
    if not words:
        return []
    rng = np.random.default_rng(int.from_bytes(text_key("masks", text), "little"))
    size = max(1, round(options.share * len(words)))
    return [[words[i] for i in sorted(rng.choice(len(words), size, replace=False))] for _ in range(options.masks)]


MASKED_LOSS = membership_attack(
    "masked_loss",
    "loss of masked words",
    loss_score,
    access="log-probability",
    requires=("masked_scorer",),
    source="Mireshghallah 2022, arXiv 2203.03929, section 3",
    formula="-E(x), E = mean loss per masked word over k random masks",
    options=MaskOptions(),
    departures="whole words are masked; losses are per masked word",
)

MASKED_ENERGY = membership_attack(
    "masked_energy",
    "loss of masked words against a reference model",
    energy_score,
    access="log-probability",
    requires=("masked_scorer", "masked_reference"),
    source="Mireshghallah 2022, arXiv 2203.03929, section 3",
    formula="E_ref(x) - E(x), E = mean loss per masked word over k random masks",
    options=MaskOptions(),
    departures="whole words are masked; losses are per masked word; of several references the mean is taken",
)
