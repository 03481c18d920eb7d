"""What a clinical text asserts, in a form that two wordings of it share.

Every form in the lexicon is read as its concept, so "denies SOB" and "no shortness of breath" give the same profile.
This is what the fidelity gate compares; it knows nothing of how a rewrite was made.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlflow_clinsec.perturb.negation import FILLER, Scope, ends_clause, find_scopes
from mlflow_clinsec.perturb.numbers import Quantity, read_quantities
from mlflow_clinsec.perturb.phrases import Token, tokenize
from mlflow_clinsec.perturb.vocabulary import CLINICAL, Entry, Hit, load_lexicon

# Units that people leave out: "she is 57" and "she is 57 years old" are the same.
_SILENT_UNITS = frozenset({"", "year-old"})
_POLAR = CLINICAL | {"word"}
_MEASURED = frozenset({"drug", "lab", "vital"})
_SIDES = {
    "left": "left",
    "right": "right",
    "lt": "left",
    "rt": "right",
    "bilateral": "both",
    "bilaterally": "both",
    "left-sided": "left",
    "right-sided": "right",
}
# "All right", "that's right", "right now": no side. Nor is a "right" that stands between punctuation marks.
_NO_SIDE_BEFORE = frozenset({"all", "quite", "that's", "you're", "yeah", "yes"})
_NO_SIDE_AFTER = frozenset(
    {"now", "away", "after", "before", "against", "ama", "without", "over", "untreated", "alone"}
)


class Item(NamedTuple):
    """A concept or a plain word at tokens[start:stop]."""

    start: int
    stop: int
    key: str
    category: str


@dataclass
class Profile:
    """Counts of what a text asserts.

    Attributes:
        numbers, loose_numbers: normalised values; loose ones ("one") may answer a number but need not.
        amounts: (value, unit) where a unit is given.
        frequencies: dosing frequencies.
        values: concept -> values that stand beside it.
        sides: left, right, both; ``sided`` pairs each with what it describes.
        negated: negated clinical concepts.
        polarity: word -> (times negated, times in all).
        vague_cues: negation cues over no known concept; ``cues``: all of them.
        drugs: generic names.
        surrogates: de-identification marks.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    loose_numbers: Counter[str] = field(default_factory=Counter)
    amounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    frequencies: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    sides: Counter[str] = field(default_factory=Counter)
    sided: Counter[tuple[str, str]] = field(default_factory=Counter)
    negated: Counter[str] = field(default_factory=Counter)
    polarity: dict[str, tuple[int, int]] = field(default_factory=dict)
    vague_cues: int = 0
    cues: int = 0
    drugs: Counter[str] = field(default_factory=Counter)
    surrogates: Counter[str] = field(default_factory=Counter)


@functools.lru_cache(maxsize=512)
def concepts_of(text: str) -> frozenset[str]:
    """Concepts named without ambiguity: what an ambiguous abbreviation in a rewrite may stand for."""
    return frozenset(hit.entry.concept for hit in load_lexicon().find(tokenize(text), known=frozenset()))


@functools.lru_cache(maxsize=512)
def profile_of(text: str, known: frozenset[str]) -> Profile:
    """The profile of a text, given the concepts that ambiguous abbreviations may stand for."""
    text = spell_out(text, known)
    tokens = tokenize(text)
    hits = list(load_lexicon().find(tokens, known=known))
    dosing = {i for hit in hits if hit.entry.category == "frequency" for i in range(hit.start, hit.stop)}
    quantities = [quantity for quantity in read_quantities(text, tokens) if quantity.start not in dosing]
    counted = {i for quantity in quantities for i in range(quantity.start, quantity.stop)} - dosing
    items = list(_items(tokens, {hit.start: hit for hit in hits if hit.start not in counted}, counted))
    profile = Profile(surrogates=Counter(token.text for token in tokens if token.is_surrogate))
    profile.drugs.update(item.key for item in items if item.category == "drug")
    profile.frequencies.update(item.key for item in items if item.category == "frequency")
    _count_quantities(profile, quantities)
    parts = _parts(text, tokens)
    _count_values(profile, parts, quantities, items)
    _count_sides(profile, parts, items)
    _count_negation(profile, find_scopes(text, tokens), items)
    return profile


def spell_out(text: str, known: frozenset[str]) -> str:
    """The text with every form as its concept, so that cues and sides inside one are seen ("NAD", "RUQ")."""
    tokens = tokenize(text)
    parts, end = [], 0
    for hit in load_lexicon().find(tokens, known=known):
        start, name = tokens[hit.start].start, hit.entry.concept
        # A capital tells the start of a line from wrapped prose.
        parts += [text[end:start], name if text[start].islower() else name.capitalize()]
        end = tokens[hit.stop - 1].end
    return "".join([*parts, text[end:]])


def _items(tokens: Sequence[Token], hits: Mapping[int, Hit], counted: set[int]) -> Iterator[Item]:
    """Concepts, sides and content words, left to right. A concept that names a side yields the side too."""
    position = 0
    while position < len(tokens):
        hit = hits.get(position)
        if hit is not None:
            for side in entry_sides(hit.entry):
                yield Item(position, position, side, "side")
            yield Item(hit.start, hit.stop, hit.entry.concept, hit.entry.category)
            position = hit.stop
            continue
        if position not in counted:
            yield from _word_item(tokens, position)
        position += 1


def _word_item(tokens: Sequence[Token], position: int) -> Iterator[Item]:
    token = tokens[position]
    side = _side_at(tokens, position)
    if side:
        yield Item(position, position + 1, side, "side")
    elif token.is_word and len(token.text) > 2 and token.lower not in FILLER:
        yield Item(position, position + 1, token.lower, "word")


def _side_at(tokens: Sequence[Token], position: int) -> str:
    token = tokens[position]
    before = tokens[position - 1].lower if position else ""
    after = tokens[position + 1].lower if position + 1 < len(tokens) else ""
    if token.text in ("L", "R"):
        spelled = after[:1].isalpha() or (before == "(" and after == ")")
        return {"L": "left", "R": "right"}[token.text] if spelled and before != "&" else ""
    alone = (not before[:1].isalnum() or before in ("is", "are")) and after[:1] in (".", ",", "?", "!", "")
    if before in _NO_SIDE_BEFORE or after in _NO_SIDE_AFTER or (alone and token.lower == "right"):
        return ""
    return _SIDES.get(token.lower, "")


@functools.cache
def entry_sides(entry: Entry) -> tuple[str, ...]:
    """Sides named by the concept itself ("RUQ" is the right upper quadrant)."""
    return tuple(_SIDES[token.lower] for token in tokenize(entry.concept) if token.lower in _SIDES)


def _count_quantities(profile: Profile, quantities: Sequence[Quantity]) -> None:
    for quantity in quantities:
        (profile.loose_numbers if quantity.loose else profile.numbers)[quantity.value] += 1
        if quantity.unit not in _SILENT_UNITS and not quantity.loose:
            profile.amounts[quantity.value, quantity.unit] += 1


def _count_values(
    profile: Profile, part_of: Sequence[int], quantities: Sequence[Quantity], items: Sequence[Item]
) -> None:
    """Beside each number, the measured concept of the same comma-separated part: the last before it, or the next."""
    measured: dict[int, list[Item]] = {}
    for item in items:
        if item.category in _MEASURED:
            measured.setdefault(part_of[item.start], []).append(item)
    for quantity in quantities:
        if quantity.loose or quantity.unit == "date":
            continue
        same = measured.get(part_of[quantity.start], [])
        before = [item for item in same if item.stop <= quantity.start]
        for item in before[-1:] or same[:1]:
            profile.values.setdefault(item.key, Counter())[quantity.value] += 1


def _parts(text: str, tokens: Sequence[Token]) -> list[int]:
    """For each token, the number of the comma-, "and"- or clause-delimited part that it stands in."""
    parts, part = [], 0
    for position, token in enumerate(tokens):
        if token.text in (",", "[", "]") or token.lower in ("and", "with") or ends_clause(text, tokens, position):
            part += 1
        parts.append(part)
    return parts


def _count_sides(profile: Profile, part_of: Sequence[int], items: Sequence[Item]) -> None:
    """Beside each side, what it describes: the next word of the same part, or the last one before."""
    for index, item in enumerate(items):
        if item.category != "side":
            continue
        after = (other.key for other in items[index + 1 :] if part_of[other.start] == part_of[item.start])
        before = (other.key for other in items[index - 1 :: -1] if index and other.category != "side")
        profile.sides[item.key] += 1
        profile.sided[item.key, next(after, "") or next(before, "")] += 1


def _count_negation(profile: Profile, scopes: Sequence[Scope], items: Sequence[Item]) -> None:
    cue_tokens = {i for scope in scopes for i in range(scope.cue_start, scope.cue_stop)}
    negated = {i for scope in scopes for i in range(scope.start, scope.stop)} - cue_tokens
    checked: set[int] = set()
    for item in items:
        if item.category not in _POLAR:
            continue
        span = set(range(item.start, item.stop))
        is_negated = not span.isdisjoint(cue_tokens) or item.start in negated  # "no acute distress" holds its own cue
        before, total = profile.polarity.get(item.key, (0, 0))
        profile.polarity[item.key] = (before + is_negated, total + 1)
        if item.category in CLINICAL:
            checked |= span
            profile.negated.update([item.key] * is_negated)
    profile.cues = len(scopes)
    profile.vague_cues = sum(checked.isdisjoint(range(scope.start, scope.stop)) for scope in scopes)
