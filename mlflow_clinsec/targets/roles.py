"""The roles that a target can play, and what people call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Role = Literal[
    "scorer",
    "context_scorer",
    "reference",
    "label_scorer",
    "label_reference",
    "predictor",
    "generator",
    "attention",
    "tokens",
    "weights",
    "masked_scorer",
    "masked_reference",
    "infiller",
    "rewriter",
    "language_model",
]

HELPERS: frozenset[Role] = frozenset({"infiller", "rewriter", "language_model"})
ROLE_NAMES: Mapping[str, str] = {
    "scorer": "token log-probabilities",
    "context_scorer": "token log-probabilities behind other records",
    "reference": "a reference model",
    "label_scorer": "class probabilities",
    "label_reference": "a reference classifier",
    "predictor": "predicted labels",
    "generator": "text generation",
    "attention": "attention weights",
    "tokens": "the model's tokeniser",
    "weights": "weights and gradients of a classifier",
    "masked_scorer": "probabilities of masked words",
    "masked_reference": "a reference masked language model",
    "infiller": "a masked language model that proposes words (privacy.masked_model)",
    "rewriter": "a model that rewords (privacy.paraphrase.transformers.model)",
    "language_model": "a causal language model (backdoor.language_model)",
}
