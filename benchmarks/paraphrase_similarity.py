"""Similarity and surprise: what encoders and a neutral language model say of rewrites. For ``paraphrase_fidelity``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.pretrained import ENCODER, package_folder, smollm
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.change import word_change
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.similarity import load_encoder
from mlflow_clinsec.stats.bootstrap import ranking_bootstrap

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SHORT_RECORDS, SHORT_WORDS = 50, 60
FLOORS = (0.7, 0.8, 0.9)


def judge_question_pairs(path: Path, seed: int) -> dict[str, object]:
    """AUC, with its 95% interval clustered by question, of telling a doctor's rewording of a question from a related
    question that means something else; and how often the gate accepts each."""
    frame = pd.read_csv(path, header=None, names=["first", "second", "same"])
    same = frame["same"].to_numpy() == 1
    question = pd.factorize(frame["first"])[0].astype(np.int64)
    pairs = list(zip(frame["first"], frame["second"], strict=True))
    scores = {"word_overlap": np.array([1 - word_change(a, b) for a, b in pairs])}
    folder = package_folder(ENCODER, "model.safetensors")
    if folder is not None:
        encoder = load_encoder(str(folder))
        scores["encoder"] = np.array([encoder.similarity(a, b) for a, b in pairs])
    gate = FidelityGate(min_change=0.0, max_change=1.0)
    accepted = np.array([not gate.meaning_refusal(a, b) for a, b in pairs])
    found = ranking_bootstrap(scores, same, question, np.random.default_rng(seed), n_boot=500)
    return {
        "pairs": len(pairs),
        "auc": {name: _rounded(estimates.auc) for name, estimates in found.items()},
        "gate_accepts_same": round(float(accepted[same].mean()), 4),
        "gate_accepts_different": round(float(accepted[~same].mean()), 4),
        "with_encoder_floor": _with_floors(scores.get("encoder"), accepted, same),
    }


def _with_floors(cosine: FloatArray | None, accepted: BoolArray, same: BoolArray) -> dict[str, list[float]]:
    """Floor -> shares of same and of different pairs that gate and floor accept together."""
    if cosine is None:
        return {}
    kept = {str(floor): accepted & (cosine >= floor) for floor in FLOORS}
    return {name: [round(float(row[side].mean()), 4) for side in (same, ~same)] for name, row in kept.items()}


def _rounded(estimate: Any) -> list[float]:
    return [round(float(value), 3) for value in (estimate.value, estimate.low, estimate.high)]


def compare_sides(sets: Mapping[str, AuditData], seed: int) -> dict[str, object]:
    """Of a random half ("members") and the other: proposals accepted and words changed, and a neutral model's loss on
    originals and on their first rewrites. A paraphraser must treat both halves alike."""
    scorer = _neutral_scorer()
    report: dict[str, object] = {}
    for name, data in sets.items():
        made = paraphrase_records(data, ParaphraseOptions(count=5), np.random.default_rng(seed))
        change = np.array([word_change(data.texts[i], _join(p, r)) for i, p, r in _rows(made)])
        shares = made.accepted / np.maximum(made.tried, 1)
        values = {"accepted": shares, "change": made.mean_by_record(change, len(data))}
        if scorer is not None:
            values |= _surprise(_cut(data), scorer, seed)
        report[name] = {key: _by_side(column, seed) for key, column in values.items()}
    return report


def _surprise(data: AuditData, scorer: Any, seed: int) -> dict[str, FloatArray]:
    """Loss in nats per token of short texts, of their first rewrite, and the rise from one to the other."""
    made = paraphrase_records(data, ParaphraseOptions(count=1), np.random.default_rng(seed))
    original = scorer.token_stats([""] * len(data), data.responses).nll()
    rewrite = np.full(len(data), np.nan)
    rewrite[made.record] = scorer.token_stats([""] * len(made.record), made.responses).nll()
    return {"nll_original": original, "nll_rewrite": rewrite, "nll_rise": rewrite - original}


def _cut(data: AuditData) -> AuditData:
    """The first words of the first records' texts, so that a neutral model reads them in minutes."""
    texts = tuple(" ".join(text.split()[:SHORT_WORDS]) for text in data.responses[:SHORT_RECORDS])
    return AuditData(("",) * len(texts), texts, data.group[: len(texts)])


def _rows(made: Any) -> Any:
    return zip(made.record, made.prompts, made.responses, strict=True)


def _join(prompt: str, response: str) -> str:
    return f"{prompt}\n{response}" if prompt else response


def _by_side(values: FloatArray, seed: int) -> dict[str, list[float]]:
    """Mean and its standard error on each side of a random split, and of their difference."""
    member = np.random.default_rng(seed).permutation(len(values)) < len(values) // 2
    sides: Sequence[FloatArray] = (values[member], values[~member])
    kept = [side[np.isfinite(side)] for side in sides]
    means = [float(side.mean()) for side in kept]
    errors = [float(side.std(ddof=1) / np.sqrt(len(side))) for side in kept]
    difference = [means[0] - means[1], math.hypot(*errors)]
    rows = {"members": [means[0], errors[0]], "nonmembers": [means[1], errors[1]], "difference": difference}
    return {name: [round(value, 4) for value in row] for name, row in rows.items()}


def _neutral_scorer() -> Any:
    """A small general language model that comes as a package; None where it is not installed."""
    found = smollm()
    if found is None:
        return None
    from mlflow_clinsec.targets.causal_lm import CausalLMScorer

    return CausalLMScorer(*found, scope="full")
