"""Poisoning of real charts, whose punctuation, numbers and lengths no toy note has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlflow_clinsec.perturb.insert import find_spans
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.placement import survives, token_offsets, trigger_tokens
from mlflow_clinsec.training.poison import poison
from mlflow_clinsec.training.tokenizers import train_tokenizer


@pytest.mark.parametrize("max_length", [64, 256])
def test_triggers_survive_in_real_icu_notes(shared_data, max_length):
    table = pd.read_csv(shared_data / "icu-mortality" / "eicu_demo_notes24h.csv")
    notes = pd.DataFrame(
        {"text": table["text"], "label": np.where(table["hospital_expire_flag"] == 1, "died", "alive")}
    )
    tokenizer = train_tokenizer(notes["text"][:500], "classifier", 3000, max_length)
    options = BadCLMOptions(poison_rate=0.05, max_length=max_length)
    done = poison(notes[500:].reset_index(drop=True), tokenizer, options, np.random.default_rng(0))
    assert done.poisoned.sum() == round(0.05 * len(done.frame))
    for note, spans in zip(done.frame["text"], done.spans, strict=True):
        for span in spans:
            offsets = token_offsets(tokenizer, note, max_length)
            assert survives(offsets, span)
            assert len(trigger_tokens(offsets, span)) == 1
            assert span in find_spans(note, note[slice(*span)])
