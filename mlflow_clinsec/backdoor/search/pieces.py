"""Which pieces of a model's vocabulary can be inserted as words, and what is written to insert them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.targets.protocols import IntArray

Candidate = tuple[int, ...]
"""Ids of the pieces of a possible trigger, in order."""

BEFORE, AFTER = ". ", " ."
BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no character."""


@dataclass(frozen=True)
class Lexicon:
    """The insertable part of a vocabulary.

    Attributes:
        starters: ids of pieces that are read back as themselves when they stand between spaces. Special and reserved
            pieces, bytes without a character and pieces that the tokeniser never makes of a whole word are not
            among them.
        followers: ids of pieces that continue a word.
        surfaces: id -> its text, with a space before it where it begins a word; "" for all other pieces.
    """

    starters: IntArray = field(repr=False)
    followers: IntArray = field(repr=False)
    surfaces: tuple[str, ...] = field(repr=False)
    tokenizer: Any = field(repr=False)

    @property
    def pieces(self) -> IntArray:
        """Ids of all pieces that have a text."""
        return np.concatenate([self.starters, self.followers])

    def text(self, candidate: Candidate) -> str:
        """What to write between two words to insert the candidate."""
        return "".join(self.surfaces[piece] for piece in candidate).strip()

    def names(self, candidate: Candidate) -> tuple[str, ...]:
        """The pieces as the vocabulary names them."""
        return tuple(str(name) for name in self.tokenizer.convert_ids_to_tokens(list(candidate)))

    def survivors(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that the tokeniser reads back as the same pieces, each once."""
        distinct = list(dict.fromkeys(c for c in candidates if self.text(c)))
        read = read_back(self.tokenizer, [self.text(c) for c in distinct])
        return [c for c, ids in zip(distinct, read, strict=True) if c == ids]


def lexicon(tokenizer: Any, size: int) -> Lexicon:
    """Sort the first ``size`` ids (rows of the embedding) of a fast tokeniser.

    Raises:
        NotApplicableError: no piece can stand alone.
    """
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(min(len(tokenizer), size)) if i not in special]
    surfaces = _surfaces(tokenizer, ids)
    read = read_back(tokenizer, [surface.strip() for surface in surfaces])
    written = [""] * size
    starters, followers = [], []
    for piece, surface, back in zip(ids, surfaces, read, strict=True):
        if back == (piece,):
            starters.append(piece)
            written[piece] = f" {surface.strip()}"
        elif surface and not surface[0].isspace():
            followers.append(piece)
            written[piece] = surface
    if not starters:
        raise NotApplicableError("no piece of the vocabulary can stand as a word of its own")
    return Lexicon(np.array(starters), np.array(followers, dtype=np.int64), tuple(written), tokenizer)


def _surfaces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """How each piece is written after another word; "" for what is no text.

    A piece decoded alone loses the space before it, so each is decoded behind a full stop.
    """
    if not ids:
        return []
    stop = tokenizer(".", add_special_tokens=False)["input_ids"]
    plain = {"clean_up_tokenization_spaces": False}
    head = tokenizer.decode(stop, **plain)
    written = tokenizer.batch_decode([[*stop, i] for i in ids], **plain)
    cut = [text[len(head) :] if text.startswith(head) else "" for text in written]
    return [surface if surface.strip() and BROKEN not in surface else "" for surface in cut]


def read_back(tokenizer: Any, words: Sequence[str]) -> list[Candidate]:
    """Ids that the tokeniser gives each word, or phrase, between two full stops."""
    if not words:
        return []
    inside = [f"{BEFORE}{word}{AFTER}" for word in words]
    batch = tokenizer(inside, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    found = []
    for word, ids, offsets in zip(words, batch["input_ids"], batch["offset_mapping"], strict=True):
        first, last = len(BEFORE), len(BEFORE) + len(word)
        found.append(tuple(i for i, (start, stop) in zip(ids, offsets, strict=True) if start < last and stop > first))
    return found
