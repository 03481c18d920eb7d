"""Which words of a text are negated: cues, and how far each reaches.

After NegEx (Chapman 2001): cues before or after what they negate, pseudo-cues, and words that end the scope.
Departures: scope is the clause rather than a window of five words, and a verb ends it once something has been negated
("no fever and is eating": eating is not negated). The cues are data, ``lexicon/cues.tsv``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_clinsec.perturb.phrases import PhraseIndex, Token, tokenize
from mlflow_clinsec.perturb.vocabulary import read_rows

_END_MARKS = frozenset(".;:?!()")


def _words(kind: str) -> frozenset[str]:
    rows = (line.split("\t") for _, line in read_rows("cues.tsv"))
    return frozenset(word for row_kind, word in rows if row_kind == kind)


_VERBS = _words("verb")
_SUBJECTS = _words("subject")
FILLER = _words("filler")
_CUE_KINDS = frozenset({"before", "after", "pseudo", "stop"})


class Scope(NamedTuple):
    """One cue at tokens[cue_start:cue_stop] and the words tokens[start:stop] that it negates."""

    cue_start: int
    cue_stop: int
    start: int
    stop: int


@functools.cache
def _cue_index() -> PhraseIndex[str]:
    index: PhraseIndex[str] = PhraseIndex()
    for _, line in read_rows("cues.tsv"):
        kind, cue = line.split("\t")
        if kind in _CUE_KINDS:
            index.add(cue, kind)
    return index


def find_scopes(text: str, tokens: Sequence[Token]) -> list[Scope]:
    """Every negation cue with its scope, left to right; that of a pseudo-cue is empty."""
    cues = _find_cues(tokens)
    kinds = {start: kind for start, _, kind in cues}
    scopes = []
    for start, stop, kind in cues:
        if kind == "before":
            scopes.append(Scope(start, stop, stop, _forward(text, tokens, stop, kinds)))
        elif kind == "after":
            scopes.append(Scope(start, stop, _backward(text, tokens, start, kinds), start))
        elif kind == "pseudo":
            scopes.append(Scope(start, stop, stop, stop))
    return scopes


def has_cue(text: str) -> bool:
    """Whether anything in the text is negated."""
    return any(kind in ("before", "after") for _, _, kind in _find_cues(tokenize(text)))


def _find_cues(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    cues = []
    position = 0
    while position < len(tokens):
        found = _cue_index().longest_at(tokens, position)
        if found is None:
            position += 1
            continue
        cues.append((position, position + found[0], found[1]))
        position += found[0]
    return cues


def _forward(text: str, tokens: Sequence[Token], start: int, kinds: dict[int, str]) -> int:
    """End of the clause that a cue opens."""
    filled = False
    for position in range(start, len(tokens)):
        token = tokens[position]
        if ends_clause(text, tokens, position) or kinds.get(position) in ("stop", "before"):
            return position
        if filled and (token.lower in _VERBS or _new_subject(tokens, position)):
            return position
        filled = filled or (token.is_word and token.lower not in FILLER)
    return len(tokens)


def _backward(text: str, tokens: Sequence[Token], stop: int, kinds: dict[int, str]) -> int:
    """Start of the clause that a cue closes; a colon that belongs to the cue does not bound it."""
    for position in range(stop - 1, -1, -1):
        if kinds.get(position) in ("stop", "before", "after") or tokens[position].text == ",":
            return position + 1
        if position + 1 < stop and starts_line(text, tokens, position + 1):
            return position + 1
        if ends_clause(text, tokens, position):
            return position + 1
    return 0


def ends_clause(text: str, tokens: Sequence[Token], position: int) -> bool:
    """Whether the token is a mark that ends a clause, or the first of a new line (wrapped prose does not count)."""
    token = tokens[position]
    if token.text in _END_MARKS:
        # The dots of "p.o." and "Dr." stand inside a sentence: what follows is glued or lower-case.
        following = tokens[position + 1] if position + 1 < len(tokens) else None
        inside = token.text == "." and following is not None and (following.glued or following.text.islower())
        return not inside
    return _is_dash(tokens, position) or starts_line(text, tokens, position)


def _is_dash(tokens: Sequence[Token], position: int) -> bool:
    """Whether the token is a dash between words or before a list item, not a hyphen inside a word."""
    if tokens[position].text not in "-\u2013\u2014" or tokens[position].glued:
        return False
    return position + 1 < len(tokens) and not tokens[position + 1].glued


def starts_line(text: str, tokens: Sequence[Token], position: int) -> bool:
    """Whether a new line or list item begins here, as opposed to the next line of wrapped prose."""
    if position == 0 or tokens[position].glued:
        return False
    gap = text[tokens[position - 1].end : tokens[position].start]
    return "\n" in gap and (gap.count("\n") > 1 or not tokens[position].text[0].islower())


def _new_subject(tokens: Sequence[Token], position: int) -> bool:
    return tokens[position].text == "," and (position + 1 < len(tokens) and tokens[position + 1].lower in _SUBJECTS)
