"""Moves parts of a text that have no order of their own: history sections, exam findings, list items.

Parts trade places within a group; whatever stands between them stays. A part that refers to its place ("as above")
is never moved.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

import numpy as np

from mlflow_clinsec.perturb.negation import has_cue
from mlflow_clinsec.perturb.phrases import Token, tokenize
from mlflow_clinsec.perturb.vocabulary import CLINICAL, Hit, Lexicon, read_rows

_HEADER = re.compile(r"^[ \t]*([A-Z][A-Za-z/&() -]{1,40}?)[ \t]*:", re.MULTILINE)
_LABEL = re.compile(r"(?:^|(?<=[.;:] )|(?<=\n))([A-Z][A-Za-z]{1,15})\s?:(?=\s)")
# A stretch within one sentence; the dot of "4.1" and the colon of "10:30", " : " or "p.o" do not end it.
_CHUNK = re.compile(r"(?:[^.;:\n()]|(?<=\d)\.(?=\d)|\.(?=[^\s])|:(?=\s-|\d)| : )+")
# "Na 138", "and BP of 120/80 mmHg"
_VALUE_ITEM = re.compile(r"(?:and )?[A-Za-z][\w%/+ -]{0,30}? (?:of )?[<>]?\d[\d./]*%?(?: [A-Za-z/%]{1,8})?")
_BULLETS = re.compile(r"(?: - [^.:;\n-]{3,60}?(?= - )){3,}")
_PLACED = re.compile(r"\b(?:above|below|same|aforementioned|former|latter|respectively|also|then|otherwise)\b", re.I)
_CONTINUES = re.compile(r"(?:and|or|then|which|who|with|but|as|including|such|also)\b", re.I)
_DOSING = frozenset(
    {"one", "two", "three", "half", "take", "daily", "once", "twice", "every", "at", "by", "p", "po", "iv"}
)
_LONGEST_FINDING = 300
_MAX_ITEM = 120
_LIST_LINKS = frozenset({",", "and", "or"})
_LIST_ENDS = frozenset({".", ";", ")"})


class Span(NamedTuple):
    """text[start:end], a part that may trade places with others of its group."""

    start: int
    end: int


Group = list[Span]


def shuffle(text: str, groups: Sequence[Group], rng: np.random.Generator) -> str:
    """Permute each group's parts over their places, at random."""
    moves: dict[Span, Span] = {}
    for group in groups:
        order = rng.permutation(len(group))
        moves.update((place, group[int(i)]) for place, i in zip(group, order, strict=True))
    parts, end = [], 0
    for place, part in sorted(moves.items()):
        parts += [text[end : place.start], text[part.start : part.end]]
        end = place.end
    return "".join([*parts, text[end:]])


@functools.cache
def _names(kind: str) -> frozenset[str]:
    rows = (line.split("\t") for _, line in read_rows("order.tsv"))
    return frozenset(name for row_kind, name in rows if row_kind == kind)


def section_groups(text: str, lexicon: Lexicon) -> list[Group]:
    """Runs of neighbouring history sections, each from its header to the next one."""
    headers = list(_HEADER.finditer(text))
    movable: list[Span | None] = []
    for header, following in pairwise([*headers, None]):
        assert header is not None  # only the last of the chain is None
        body = text[header.start() : following.start() if following else len(text)].rstrip()
        free = _header_name(header[1], lexicon) in _names("section") and not _PLACED.search(body)
        movable.append(Span(header.start(), header.start() + len(body)) if free else None)
    return _runs(movable)


def _header_name(written: str, lexicon: Lexicon) -> str:
    """The concept of a header, or the header itself, in lower case."""
    tokens = tokenize(f"{written}:")
    hit = next(iter(lexicon.find(tokens)), None)
    whole = hit is not None and hit.start == 0 and hit.stop == len(tokens) - 1
    return hit.entry.concept if hit is not None and whole else written.lower()


def _runs(spans: Sequence[Span | None]) -> list[Group]:
    """Groups of two or more neighbours that are not None."""
    groups: list[Group] = [[]]
    for span in spans:
        if span is None:
            groups.append([])
        else:
            groups[-1].append(span)
    return [group for group in groups if len(group) > 1]


def finding_line_groups(text: str) -> list[Group]:
    """Runs of neighbouring lines that each begin with an exam label."""
    spans: list[Span | None] = []
    for line in re.finditer(r"[^\n]+", text):
        label = _LABEL.match(text, line.start())
        free = label is not None and _is_finding(label, line.group())
        spans.append(Span(line.start(), line.start() + len(line.group().rstrip())) if free else None)
    return _runs(spans)


def finding_groups(text: str) -> list[Group]:
    """Runs of labelled exam findings within a line: "Neck: Supple. Lungs: Clear."."""
    groups: list[Group] = []
    for line in re.finditer(r"[^\n]+", text):
        labels = list(_LABEL.finditer(text, *line.span()))
        spans: list[Span | None] = []
        for label, following in pairwise([*labels, None]):
            assert label is not None  # only the last of the chain is None
            body = text[label.start() : following.start() if following else line.end()].rstrip()
            free = _is_finding(label, body)
            spans.append(Span(label.start(), label.start() + len(body)) if free else None)
        groups += _runs(spans)
    return groups


def _is_finding(label: re.Match[str], body: str) -> bool:
    """Whether a labelled part is a short exam finding that ends in a full stop and says nothing of its place."""
    ends = body.rstrip().endswith(".") and len(body) <= _LONGEST_FINDING
    return label[1].lower() in _names("exam") and ends and not _PLACED.search(body)


def list_groups(text: str, lexicon: Lexicon) -> list[Group]:
    """Items of lists: beside their values, under a list header, of clinical concepts, and bullets."""
    found = [*_value_lists(text, lexicon), *_concept_lists(text, lexicon), *_bullet_lists(text)]
    groups: list[Group] = []
    for group in sorted(found, key=lambda group: (group[0].start, -group[-1].end)):
        if not groups or group[0].start >= groups[-1][-1].end:
            groups.append(group)
    return groups


def _value_lists(text: str, lexicon: Lexicon) -> Iterator[Group]:
    """ "Na 138, K 4.1, Cl 104", and whatever a list header announces, up to a negation, which reaches over commas."""
    for chunk in _CHUNK.finditer(text):
        items = list(takewhile(lambda item: not has_cue(text[slice(*item)]), _comma_items(text, *chunk.span())))
        if len(items) < 3:
            continue
        if all(_VALUE_ITEM.fullmatch(text, *item) for item in items) or (
            _announced(text, chunk.start(), lexicon)
            and all(_stands_alone(text[slice(*item)], lexicon) for item in items)
        ):
            yield _without_conjunction(text, items)


def _comma_items(text: str, start: int, end: int) -> Group:
    """Comma-separated parts of text[start:end], without the space around them."""
    items = []
    for part in re.finditer(r"[^,]+(?:,(?=\d{3}\b)[^,]+)*", text[start:end]):
        body = part.group()
        first = start + part.start() + len(body) - len(body.lstrip())
        if body.strip():
            items.append(Span(first, first + len(body.strip())))
    return items


def _announced(text: str, position: int, lexicon: Lexicon) -> bool:
    """Whether a list header ends right before ``position``."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    header = re.fullmatch(r"\s*([A-Za-z/&() -]{2,40}?)\s*:\s*", line)
    return header is not None and _header_name(header[1], lexicon) in _names("list")


def _stands_alone(item: str, lexicon: Lexicon) -> bool:
    """Whether a list item says by itself what it is: not "1 tablet daily", which goes with the item before it."""
    if len(item) > _MAX_ITEM or _CONTINUES.match(item) or _PLACED.search(item):
        return False
    if item[0].isalpha():
        return item.split()[0].lower() not in _DOSING
    hits = lexicon.find(tokenize(item))
    return " : " in item or " - " in item or any(hit.entry.category == "drug" for hit in hits)


def _without_conjunction(text: str, items: Group) -> Group:
    """The items, the last one without its leading "and" or "or", which stays in place."""
    last = items[-1]
    lead = re.match(r"(?:and|or)\s+", text[last.start : last.end])
    return [*items[:-1], Span(last.start + lead.end(), last.end)] if lead else items


def _concept_lists(text: str, lexicon: Lexicon) -> Iterator[Group]:
    """ "fever, chills, and nausea": whole concepts, after a word that governs them all and before a full stop."""
    tokens = tokenize(text)
    hits = [hit for hit in lexicon.find(tokens) if hit.entry.category in CLINICAL]
    run: list[Hit] = []
    for hit, following in pairwise([*hits, None]):
        assert hit is not None  # only the last of the chain is None
        run.append(hit)
        if following is not None and _linked(text, tokens, hit, following):
            continue
        if len(run) > 1 and _is_closed(text, tokens, run):
            yield [Span(tokens[item.start].start, tokens[item.stop - 1].end) for item in run]
        run = []


def _linked(text: str, tokens: Sequence[Token], first: Hit, second: Hit) -> bool:
    """Whether only a comma, "and" or "or" stands between two hits of one line."""
    between = tokens[first.stop : second.start]
    gap = text[tokens[first.stop - 1].end : tokens[second.start].start]
    return 0 < len(between) <= 2 and all(token.lower in _LIST_LINKS for token in between) and "\n" not in gap


def _is_closed(text: str, tokens: Sequence[Token], run: Sequence[Hit]) -> bool:
    """Whether no modifier can reach into the list from either side."""
    first, last = run[0].start, run[-1].stop
    before = tokens[max(first - 2, 0) : first]
    led = bool(before) and before[-1].lower in _names("lead") and before[0].text != ","
    leads = first == 0 or led or before[-1].text in ".:;("
    ends = (
        last >= len(tokens)
        or tokens[last].text in _LIST_ENDS
        or "\n" in text[tokens[last - 1].end : tokens[last].start]
    )
    return leads and ends


def _bullet_lists(text: str) -> Iterator[Group]:
    """ " - Smoking - Obesity - Race": all bullets but the last, whose end cannot be told."""
    for bullets in _BULLETS.finditer(text):
        items = [Span(item.start(1), item.end(1)) for item in re.finditer(r" - (.+?)(?= - |$)", bullets.group())]
        yield [Span(bullets.start() + item.start, bullets.start() + item.end) for item in items]
