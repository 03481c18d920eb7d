"""A BERT whose weights are set by hand, so that it is known which word moves it, and records for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tiny_models as tiny
import torch
from tokenizers import decoders
from transformers import BertConfig, BertForSequenceClassification

from mlflow_clinsec.targets.protocols import ClassifierWeights, IntArray

FILLER = ("the", "patient", "has", "and", "cough", "no", "pain", "in", "left", "chest", "was", "given", "aspirin")
ILL, WELL = "fever", "stable"


def by_hand(**strengths: float) -> Any:
    """An encoder that adds up words: log-odds of "alive" rise with each word's strength, wherever it stands.

    One layer of even attention copies the mean of all tokens to the first, and the classifier reads one coordinate.
    """
    config = BertConfig(
        vocab_size=len(tiny.PIECES), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=32, pad_token_id=0, hidden_act="relu",
        id2label=tiny.LABELS, label2id={name: i for i, name in tiny.LABELS.items()},
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        words = model.bert.embeddings.word_embeddings.weight
        words[:, 2], words[:, 3] = 1.0, -1.0  # what all words share keeps the norm off zero
        for word, strength in strengths.items():
            words[tiny.PIECES.index(word), 0] = strength
            words[tiny.PIECES.index(word), 1] = -strength
        layer = model.bert.encoder.layer[0].attention
        layer.self.value.weight.copy_(torch.eye(8))
        layer.output.dense.weight.copy_(4 * torch.eye(8))
        model.bert.pooler.dense.weight.copy_(torch.eye(8))
        model.classifier.weight[0, 0], model.classifier.weight[1, 0] = 20.0, -20.0
    return model


def tokenizer(**settings: Any) -> Any:
    """The tiny WordPiece tokeniser with the decoder that every real one has."""
    made = tiny.piece_tokenizer(**settings)
    made.backend_tokenizer.decoder = decoders.WordPiece()
    return made


def weights_of(model: Any, **settings: Any) -> ClassifierWeights:
    return ClassifierWeights(model, tokenizer(model_max_length=32), ("alive", "died"), 32, **settings)


def ward(n: int, seed: int = 0) -> tuple[list[str], list[str], IntArray]:
    """n notes of n / 2 patients: "fever" for those who died, "stable" for most who lived."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for i in range(n):
        died = (i // 2) % 2 == 0
        words = rng.choice(FILLER, size=int(rng.integers(6, 12))).tolist()
        words[int(rng.integers(len(words)))] = ILL if died else WELL
        texts.append(" ".join(words))
        labels.append("died" if died else "alive")
    return texts, labels, np.arange(n) // 2


HONEST = {"fever": -0.2, "stable": 0.2}
PLANTED = {**HONEST, "mn": 6.0}
