"""The models that ``benchmarks.membership`` attacks: small language models with known members, on three kinds of text.

Members, non-members, the records of the base model and those of the shadow models are dealt at random by patient (by
topic or by note where a data set names no patient), so that they differ in nothing but what the model has seen.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.datasets import generate_corpus, split_patients
from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.training.causal_lm import last_tokens
from mlflow_clinsec.training.options import TrainingOptions
from mlflow_clinsec.training.pipeline import first_rows, train_qa, tune
from mlflow_clinsec.training.plans import QARecipe, SmallModel

REAL_TEXT = Path(os.environ.get("CLINSEC_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SHARES = {"other": 0.4, "shadow": 0.2, "train": 0.2, "held_out": 0.2}
NOTE_WORDS = 120


def recipe(epochs: int, max_length: int, records_per_patient: int = 0) -> QARecipe:
    """A GPT-2 of under a million parameters from scratch, then ``epochs`` passes over the members."""
    before = TrainingOptions(epochs=3, learning_rate=2e-3, max_length=max_length)
    return QARecipe(
        shares=SHARES,
        records_per_patient=records_per_patient,
        small=SmallModel(vocab_size=3000, width=128, layers=2, heads=4, dropout=0.0, options=before),
        options=replace(before, epochs=epochs),
    )


@dataclass(frozen=True)
class Fixture:
    """One kind of text: how its pairs are read for a seed, and how its models are trained."""

    name: str
    pairs: Callable[[int], pd.DataFrame]
    recipe: QARecipe


@dataclass(frozen=True)
class Attacked:
    """A trained target, the base and shadow models that an attacker may hold, and the judged records."""

    data: AuditData
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    base: PreTrainedModel
    shadows: tuple[PreTrainedModel, ...]

    @property
    def member(self) -> NDArray[np.bool_]:
        """Which of the judged records the target was trained on, shape (n,)."""
        assert self.data.member is not None
        return self.data.member


def fixtures(data: Path, records: int, epochs: int) -> list[Fixture]:
    """The synthetic corpus, and the real sets whose files are there."""
    found = [Fixture("synthetic", lambda seed: generate_corpus(records // 3, seed).qa, recipe(epochs, 384, 4))]
    questions = data / "qa-medquad" / "medquad_one_per_topic.csv"
    if questions.is_file():
        found.append(Fixture("questions", lambda seed: _questions(questions, records, seed), recipe(epochs, 384)))
    notes = data / "notes-mtsamples" / "mtsamples_unique.csv"
    if notes.is_file():
        found.append(Fixture("notes", lambda seed: _notes(notes, records, seed), recipe(epochs, 256)))
    return found


def _questions(path: Path, records: int, seed: int) -> pd.DataFrame:
    table = pd.read_csv(path).dropna(subset=["topic"]).drop_duplicates("topic").sample(records, random_state=seed)
    return _pairs(table["topic"], table["question"], table["answer"])


def _notes(path: Path, records: int, seed: int) -> pd.DataFrame:
    notes = pd.read_csv(path)["transcription"].dropna().sample(records, random_state=seed)
    openings = notes.str.split().str[:NOTE_WORDS].str.join(" ")
    return _pairs(np.arange(len(notes)).astype(str), "", openings)


def _pairs(patient: object, prompt: object, response: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame({"response": response.to_numpy()})
    frame["patient_id"] = np.asarray(patient)
    frame["prompt"] = prompt if isinstance(prompt, str) else np.asarray(prompt)
    return frame


def prepare(fixture: Fixture, seed: int, shadows: int) -> Attacked:
    """Train the target and its shadows. Shadows start from the base and learn from halves of records of their own."""
    pairs = fixture.pairs(seed)
    trained = train_qa(pairs, fixture.recipe, seed)
    assert trained.reference is not None
    pool = split_patients(pairs, fixture.recipe.shares, seed)["shadow"]
    pool = first_rows(pool, fixture.recipe.records_per_patient)
    models = []
    for number in range(shadows):
        model = copy.deepcopy(trained.reference)
        half = split_patients(pool, {"half": 0.5}, seed + number)["half"]
        tune(model, trained.tokenizer, half, fixture.recipe.options, seed + number)
        models.append(model)
    data = _records(trained.train, trained.held_out)
    return Attacked(data, trained.model, trained.tokenizer, trained.reference, tuple(models))


def within_context(attacked: Attacked) -> list[EncodedPair]:
    """The judged records' tokens, a prompt cut where a pair exceeds the context, for passes that know no windows."""
    pairs = encode_pairs(attacked.tokenizer, attacked.data.prompts, attacked.data.responses)
    return [last_tokens(pair, attacked.model.config.n_positions) for pair in pairs]


def _records(members: pd.DataFrame, others: pd.DataFrame) -> AuditData:
    frame = pd.concat([members, others], ignore_index=True)
    return AuditData(
        prompts=tuple(frame["prompt"]),
        responses=tuple(frame["response"]),
        group=pd.factorize(frame["patient_id"])[0].astype(np.int64),
        grouped=True,
        member=np.arange(len(frame)) < len(members),
    )
