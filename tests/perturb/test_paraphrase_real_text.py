"""The paraphraser on samples of real clinical text; skipped where that is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.change import word_change
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records


@pytest.mark.parametrize(
    ("file", "column", "least_change"),
    [
        ("notes-mtsamples/mtsamples_unique.csv", "transcription", 0.12),
        ("icu-mortality/eicu_demo_notes24h.csv", "text", 0.25),
        ("qa-medquad/medquad_one_per_topic.csv", "answer", 0.15),
    ],
)
def test_real_notes_get_five_faithful_rewrites(shared_data: Path, file: str, column: str, least_change: float) -> None:
    texts = tuple(pd.read_csv(shared_data / file)[column].dropna().sample(40, random_state=3))
    data = AuditData(("",) * 40, texts, np.arange(40, dtype=np.int64))
    made = paraphrase_records(data, ParaphraseOptions(count=5), np.random.default_rng(3))
    assert (made.accepted == 5).mean() >= 0.9
    assert made.accepted.sum() / made.tried.sum() >= 0.9
    change = [word_change(texts[i], text) for i, text in zip(made.record, made.responses, strict=True)]
    assert np.median(change) >= least_change


def test_the_gate_tells_paraphrases_from_other_texts(shared_data: Path) -> None:
    """Translated there and back by others, more than a third pass; paired with another dialogue, hardly any."""
    frame = pd.read_csv(shared_data / "dialogue-paraphrases/mts_dialog_backtranslated.csv").sample(100, random_state=3)
    gate = FidelityGate()
    others = np.roll(frame.dialogue_via_french.to_numpy(), 1)
    right = [gate.meaning_refusal(a, b) for a, b in zip(frame.dialogue, frame.dialogue_via_french, strict=True)]
    wrong = [gate.meaning_refusal(a, b) for a, b in zip(frame.dialogue, others, strict=True)]
    assert right.count("") >= 35
    assert wrong.count("") <= 10
