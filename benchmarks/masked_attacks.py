"""Measure the attacks that use masked language models, on real dialogues and small models from scratch.

    python -m benchmarks.masked_attacks [--data FOLDER] [--seeds 3]

For each seed, 600 dialogues are dealt at random to members, non-members and others. A masked and a causal language
model are trained on the others, and then on the members; the first stage is the reference and the source of words.
Prints one JSON object, last: per attack the mean AUC and its standard deviation over seeds. No text is printed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy import loss, masked_energy, neighbourhood, reference
from mlflow_clinsec.scoring.cache import CachedScorer
from mlflow_clinsec.stats.roc import auc
from mlflow_clinsec.targets.causal_lm import CausalLMScorer
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.masked_lm import CachedMaskedScorer, MaskedLM
from mlflow_clinsec.targets.protocols import Target

FILE = "dialogue-paraphrases/mts_dialog_backtranslated.csv"
WORDS, RECORDS, SIDE = 40, 600, 100
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZE = {"vocab_size": 2000, "pad_token_id": 0}
NO_OPTIONS: Any = None


def tokenizer_of(texts: Sequence[str]) -> Any:
    """WordPiece over the most frequent words, and letters for the rest."""
    counts = Counter(word for text in texts for word in text.lower().split() if word.isalpha())
    letters = [f"{mark}{letter}" for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,:?!'-"]
    words = [word for word, _ in counts.most_common() if len(word) > 1]
    pieces = [*SPECIALS, *letters, *words][: SIZE["vocab_size"]]
    core = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=core, mask_token="[MASK]", bos_token="[CLS]", **names)


def train(model: Any, tokenizer: Any, texts: Sequence[str], epochs: int, masked: bool, seed: int) -> Any:
    """A copy of the model after so many passes over the texts."""
    model = deepcopy(model).train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(texts), generator=generator).split(16):
            batch = tokenizer([texts[int(i)] for i in rows], padding=True, return_tensors="pt")
            ids, mask = batch["input_ids"], batch["attention_mask"]
            hidden = (torch.rand(ids.shape, generator=generator) < (0.15 if masked else 1.0)) & (ids > 3)
            shown = ids.masked_fill(hidden, tokenizer.mask_token_id) if masked else ids
            labels = ids.masked_fill(~hidden, -100)
            model(input_ids=shown, attention_mask=mask, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model.eval()


def measure(folder: Path, seed: int) -> dict[str, float]:
    """AUC of each attack for one deal of the dialogues."""
    frame = pd.read_csv(folder / FILE).dropna().sample(RECORDS, random_state=seed)
    texts = [" ".join(text.split()[:WORDS]) for text in frame["dialogue"]]
    members, judged, others = texts[:SIDE], texts[: 2 * SIDE], texts[2 * SIDE :]
    tokenizer = tokenizer_of(others)
    data = AuditData(("",) * len(judged), tuple(judged), np.arange(len(judged)), member=np.arange(len(judged)) < SIDE)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
        bert = BertForMaskedLM(BertConfig(**SIZE, **shape, max_position_embeddings=256))
        gpt = GPT2LMHeadModel(GPT2Config(**SIZE, n_embd=64, n_layer=2, n_head=2, n_positions=256))
    masked_base = train(bert, tokenizer, others, 10, masked=True, seed=seed)
    masked_model = train(masked_base, tokenizer, members, 30, masked=True, seed=seed)
    base = train(gpt, tokenizer, others, 4, masked=False, seed=seed)
    model = train(base, tokenizer, members, 4, masked=False, seed=seed)
    return attack(data, tokenizer, (masked_model, masked_base), (model, base))


def attack(data: AuditData, tokenizer: Any, masked: tuple[Any, Any], causal: tuple[Any, Any]) -> dict[str, float]:
    """AUC by attack."""
    options = TargetOptions()
    encoders = [MaskedLM(model, tokenizer, options) for model in masked]
    scorers = [CachedScorer(CausalLMScorer(model, tokenizer)) for model in causal]
    target = Target(
        "benchmark",
        "causal-lm",
        scorer=scorers[0],
        references=(scorers[1],),
        masked_scorer=CachedMaskedScorer(encoders[0]),
        masked_references=(CachedMaskedScorer(encoders[1]),),
        infiller=encoders[1],
    )
    masks, few = masked_energy.MaskOptions(), neighbourhood.NeighbourOptions()
    scores: dict[str, Callable[[], Any]] = {
        "masked_loss": lambda: masked_energy.loss_score(data, target, masks, _rng()),
        "masked_energy": lambda: masked_energy.energy_score(data, target, masks, _rng()),
        "loss": lambda: loss.score(data, target, NO_OPTIONS, _rng()),
        "reference": lambda: reference.score(data, target, NO_OPTIONS, _rng()),
        "neighbourhood": lambda: neighbourhood.score(data, target, few, _rng()),
        "neighbourhood_one_word": lambda: neighbourhood.score(data, target, replace(few, words=1), _rng()),
        "neighbourhood_ten_words": lambda: neighbourhood.score(data, target, replace(few, words=10), _rng()),
    }
    assert data.member is not None
    return {name: float(auc(score(), data.member)) for name, score in scores.items()}


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def main() -> None:
    """Average over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CLINSEC_SHARED_DATA", "../shared/data")))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found = [measure(given.data, seed) for seed in range(given.seeds)]
    table = {name: [row[name] for row in found] for name in found[0]}
    report = {
        name: {
            "auc": round(float(np.mean(row)), 3),
            "sd": round(float(np.std(row, ddof=1)), 3) if len(row) > 1 else None,
        }
        for name, row in table.items()
    }
    print(json.dumps({"seeds": given.seeds, "members": SIDE, "nonmembers": SIDE, "attacks": report}))


if __name__ == "__main__":
    main()
