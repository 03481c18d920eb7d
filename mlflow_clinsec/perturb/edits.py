"""Replacements over a text: collected first, thinned at random, then applied once.

As all spans refer to the same original text and never overlap, nothing that was written is ever rewritten again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Edit(NamedTuple):
    """text[start:end] may become any of ``options``, none of which equals what stands there; with none it is kept."""

    start: int
    end: int
    options: tuple[str, ...]


def without_overlaps(edits: Iterable[Edit]) -> list[Edit]:
    """Edits left to right; of overlapping ones the first, and of those that start together the longest."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return [edit for edit in kept if edit.options]


def apply_some(text: str, edits: Sequence[Edit], share: float, rng: np.random.Generator) -> str:
    """Apply each edit with probability ``share``, choosing among its options evenly."""
    chosen = rng.random(len(edits)) < share
    options = rng.random(len(edits))
    parts, end = [], 0
    for edit, take, option in zip(edits, chosen, options, strict=True):
        if take:
            parts += [text[end : edit.start], edit.options[int(option * len(edit.options))]]
            end = edit.end
    return "".join([*parts, text[end:]])
