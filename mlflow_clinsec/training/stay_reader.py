"""A classifier of ICU stays that reads every note by itself: the code that MLflow logs with the model.

As the mortality task code of BadCLM's first author has it: the first token ([CLS]) of each note, the mean over a stay's
notes, one linear layer. A note is cut at the encoder's length, not the stay. Ours: a stay has at most ``max_notes``
notes, the latest ones, so that a batch has a size.

MLflow runs this file when it loads the model. It imports nothing of this package, and weights are safetensors: a model
can be served where the package is not installed, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

HEAD, SETTINGS = "head.safetensors", "stay_reader.json"
BATCH_TOKENS = 8192
REMEMBERED = 20_000
"""Notes whose vectors are kept: about 60 MB for an encoder of 768 dimensions."""

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class StayClassifier(nn.Module):
    """An encoder of notes under one linear layer.

    Args:
        encoder: gives ``last_hidden_state``; its ``config.id2label`` names the classes.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, encoder.config.num_labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        names = self.encoder.config.id2label
        return tuple(str(names[i]) for i in range(len(names)))

    def forward(self, ids: Tensor, mask: Tensor, stay: Tensor, attentions: bool = False) -> tuple[Tensor, Any]:
        """Logits of the stays, shape (stays, labels), and the encoder's attention weights where they are asked for.

        Args:
            ids, mask: shape (notes, tokens), the notes of all stays.
            stay: shape (notes,), which stay each note is of; stays are numbered from 0, each has a note.
        """
        output = self.encoder(input_ids=ids, attention_mask=mask, output_attentions=attentions)
        return self.head(mean_by_stay(output.last_hidden_state[:, 0], stay)), output.attentions


def mean_by_stay(vectors: Tensor, stay: Tensor) -> Tensor:
    """Mean of the notes' vectors per stay, shape (stays, width)."""
    counts = torch.bincount(stay)
    sums = vectors.new_zeros(len(counts), vectors.shape[1]).index_add(0, stay, vectors)
    return sums / counts.unsqueeze(1)


def notes_of(text: str, mark: str, most: int) -> list[str]:
    """The latest ``most`` notes of a stay's text; [""] where it holds none."""
    return [note for _, note in placed_notes(text, mark, most)]


def placed_notes(text: str, mark: str, most: int) -> list[tuple[int, str]]:
    """The same with the character offset at which each note begins."""
    found, start = [], 0
    for part in text.split(mark):
        if note := part.strip():
            found.append((start + part.index(note), note))
        start += len(part) + len(mark)
    return found[-most:] or [(0, "")]


class StayReader(mlflow.pyfunc.PythonModel):
    """What MLflow loads: class probabilities of stays, from their notes joined by the mark."""

    def build(self, model: StayClassifier, tokenizer: Any, settings: dict[str, Any]) -> StayReader:
        """A reader of a model in memory, whose weights are final.

        Args:
            settings: ``mark`` between notes, ``max_length`` in tokens per note and ``max_notes`` per stay.
        """
        self.model, self.tokenizer, self.settings = model.eval(), tokenizer, settings
        self.remembered: dict[bytes, Tensor] = {}
        return self

    def load_context(self, context: Any) -> None:
        """Read what :meth:`save` wrote."""
        folder = Path(context.artifacts["weights"])
        model = StayClassifier(AutoModel.from_pretrained(folder, use_safetensors=True, **LOCAL))
        model.head.load_state_dict(load_file(folder / HEAD))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self.build(model.to(device), AutoTokenizer.from_pretrained(folder, **LOCAL), settings)

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and settings."""
        self.model.encoder.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file({name: value.contiguous() for name, value in self.model.head.state_dict().items()}, folder / HEAD)
        (folder / SETTINGS).write_text(json.dumps(self.settings), encoding="utf-8")

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names."""
        return self.model.labels

    def predict_proba(self, texts: Sequence[str]) -> pd.DataFrame:
        """Probabilities, a column per label and a row per text."""
        notes = [notes_of(text, self.settings["mark"], self.settings["max_notes"]) for text in texts]
        stay = torch.tensor([number for number, some in enumerate(notes) for _ in some], dtype=torch.long)
        with torch.inference_mode():
            vectors = self._vectors([note for some in notes for note in some])
            logits = self.model.head(mean_by_stay(vectors, stay.to(vectors.device)))
            return pd.DataFrame(torch.softmax(logits.double(), dim=1).cpu().numpy(), columns=list(self.labels))

    def predict(self, model_input: list[str]) -> list[dict[str, float]]:
        """Label -> probability of each text, for everybody else; MLflow has no schema for a frame."""
        rows = self.predict_proba(model_input).to_numpy().tolist()
        return [dict(zip(self.labels, row, strict=True)) for row in rows]

    def read_ranges(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character ranges of each text that the model reads: of each of the latest notes, what is not cut off."""
        return [self._ranges(text) for text in texts]

    def _ranges(self, text: str) -> list[tuple[int, int]]:
        placed = placed_notes(text, self.settings["mark"], self.settings["max_notes"])
        encoded = self.tokenizer(
            [note for _, note in placed],
            truncation=True,
            max_length=self.settings["max_length"],
            return_offsets_mapping=True,
        )
        tokens = [[span for span in own if span[0] < span[1]] for own in encoded["offset_mapping"]]
        return [(start + own[0][0], start + own[-1][1]) for (start, _), own in zip(placed, tokens, strict=True) if own]

    def _vectors(self, notes: Sequence[str]) -> Tensor:
        """First-token vector of each note, shape (notes, width); those of the last calls are remembered.

        A trigger test changes one note of a stay at a time: all others are encoded once. No text is kept, but digests.
        """
        keys = [hashlib.blake2b(note.encode("utf-8", "surrogatepass"), digest_size=16).digest() for note in notes]
        new = {key: note for key, note in zip(keys, notes, strict=True) if key not in self.remembered}
        encoded = dict(zip(new, self._encode(list(new.values())), strict=True))
        known = {key: self.remembered[key] for key in keys if key not in new} | encoded
        if len(self.remembered) > REMEMBERED:
            self.remembered.clear()
        self.remembered.update(encoded)
        return torch.stack([known[key] for key in keys])

    def _encode(self, notes: Sequence[str]) -> Sequence[Tensor]:
        """The same for notes that are new; notes of like length share a batch."""
        if not notes:
            return []
        rows = self.tokenizer(list(notes), truncation=True, max_length=self.settings["max_length"])["input_ids"]
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        vectors = torch.empty(len(rows), self.model.head.in_features, device=self.model.head.weight.device)
        while order:
            size = max(1, BATCH_TOKENS // len(rows[order[0]]))
            batch, order = order[:size], order[size:]
            padded = self.tokenizer.pad({"input_ids": [rows[i] for i in batch]}, return_tensors="pt").to(vectors.device)
            inputs = {name: padded[name] for name in ("input_ids", "attention_mask")}
            vectors[batch] = self.model.encoder(**inputs).last_hidden_state[:, 0]
        return list(vectors)


mlflow.models.set_model(StayReader())
