"""Long texts rewritten piece by piece: models reword a few sentences well, and one slip costs only its own piece."""

from __future__ import annotations

import re
from collections.abc import Callable

from mlflow_clinsec.perturb.fidelity import FidelityGate

_SENTENCE = re.compile(r".*?(?:[.!?](?=\s)|\n|$)\s*", re.DOTALL)
_ANY_CHANGE = FidelityGate(min_change=0.0, max_change=1.0)


def rewrite_by_pieces(text: str, count: int, piece_words: int, ask: Callable[[str], list[str]]) -> list[str]:
    """Up to ``count`` rewrites of a text.

    A text of one piece is handed over whole, and whatever comes back is for the gate to judge. Of a longer one, a
    piece whose rewrite the gate would refuse stays as it is.

    Args:
        piece_words: most words of a piece; a longer sentence is one piece.
        ask: a piece -> its rewrites, up to ``count``.
    """
    pieces = split_pieces(text, piece_words)
    if len(pieces) < 2:
        return ask(text)
    columns = [_rewrites_or_piece(piece, count, ask) for piece in pieces]
    return ["".join(column[i] for column in columns) for i in range(count)]


def split_pieces(text: str, piece_words: int) -> list[str]:
    """Consecutive pieces of whole sentences and lines; joined, they are the text."""
    pieces: list[str] = []
    words = 0
    for sentence in filter(None, _SENTENCE.findall(text)):
        size = len(sentence.split())
        if not pieces or words + size > piece_words:
            pieces.append("")
            words = 0
        pieces[-1] += sentence
        words += size
    return pieces


def _rewrites_or_piece(piece: str, count: int, ask: Callable[[str], list[str]]) -> list[str]:
    """``count`` forms of a piece with the white space around it: accepted rewrites, the piece for all others."""
    core = piece.strip()
    before, _, after = piece.partition(core) if core else (piece, "", "")
    good = [core if _ANY_CHANGE.refusal(core, rewrite) else rewrite for rewrite in (ask(core) if core else [])]
    forms = (good + [core] * count)[:count]
    return [f"{before}{form}{after}" for form in forms]
