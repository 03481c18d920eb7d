"""Edits that write the same quantity another way: dates, units, ages, dosing intervals, comparators, lab phrases."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from mlflow_clinsec.perturb.edits import Edit
from mlflow_clinsec.perturb.numbers import DATE_FORMATS, MONTHS, Date, find_dates, read_unit
from mlflow_clinsec.perturb.phrases import Token
from mlflow_clinsec.perturb.vocabulary import Hit, parse_form, read_rows

_NUMBER = r"(?<![\w.,/-])\d+(?:[.,/]\d+)*"
_AGE = re.compile(rf"(?P<number>{_NUMBER})(?P<unit>-year-old| year old| y/o|-y/o| yo|yo)(?![\w-])", re.IGNORECASE)
_AGES = ("-year-old", " year old", " y/o")
_ADULT = re.compile(
    r"(?<!\d)(?:1[89]|[2-9]\d|1[01]\d)(?:-year-old| year old| y/o) (?:(?:white|black|Caucasian|Hispanic|Asian) )?"
    r"(?P<person>male|female|man|woman|gentleman|lady)(?= (?:who|with|was|is|presents|presented|admitted)\b|[.,])",
    re.IGNORECASE,
)
_PERSONS = {"male": "man", "man": "male", "female": "woman", "woman": "female", "gentleman": "man", "lady": "woman"}
_EVERY = re.compile(
    r"(?<![\w.])(?:q\.?\s?(?P<short>\d+)\s?(?:h|hrs?|hours)\b\.?|every (?P<long>\d+) (?:hours|hrs))(?!\w)",
    re.IGNORECASE,
)
_COMPARED = {
    "<": "less than ",
    ">": "greater than ",
    "\u2264": "less than or equal to ",
    "\u2265": "greater than or equal to ",
}
_SIGNS = {words.strip(): sign for sign, words in _COMPARED.items()}
_SIGN = re.compile(r"(?<![<>=\-\w])([<>\u2264\u2265]) ?(?=\d)")
_SIGN_WORDS = re.compile(rf"\b({'|'.join(sorted(_SIGNS, key=len, reverse=True))}) (?=\d)", re.IGNORECASE)
_DOSES = frozenset({"mg", "mcg", "g", "ml", "percent", "unit"})
_DURATION = re.compile(r"\b(x|for) ?(?=\d+ (?:days?|weeks?|months?|years?|hours?|minutes?)\b)")


def format_edits(text: str, tokens: Sequence[Token], hits: Sequence[Hit]) -> Iterator[Edit]:
    """All of this module's edits, in no particular order; they may overlap those of other modules."""
    yield from _surrogates(tokens)
    yield from _dates(text)
    yield from _ages(text)
    yield from _units(text)
    yield from _intervals(text)
    yield from _comparators(text)
    yield from _durations(text)
    yield from _value_links(text, tokens, hits)


def _surrogates(tokens: Sequence[Token]) -> Iterator[Edit]:
    """De-identification marks stay as they are: a date inside one stands for a removed one."""
    yield from (Edit(token.start, token.end, ()) for token in tokens if token.is_surrogate)


def _dates(text: str) -> Iterator[Edit]:
    """Full dates may be rewritten; all others are kept from other rules ("May 2001" holds no modal verb)."""
    for date in find_dates(text):
        source = text[date.start : date.end]
        clear = date.year >= 1000 and date.day and not _is_ambiguous(source, date)
        options = write_date(date) if clear else ()
        yield Edit(date.start, date.end, tuple(option for option in options if option.lower() != source.lower()))


def write_date(date: Date) -> tuple[str, ...]:
    """The ways to write a full date that cannot be misread."""
    month = MONTHS[date.month - 1].capitalize()
    return (
        f"{month} {date.day}, {date.year}",
        f"{date.day} {month} {date.year}",
        f"{date.year}-{date.month}-{date.day}",
    )


def _is_ambiguous(source: str, date: Date) -> bool:
    """A slash date whose day and month could be the other way round stays as it is."""
    return DATE_FORMATS[1].fullmatch(source) is not None and date.day <= 12 and date.day != date.month


def _ages(text: str) -> Iterator[Edit]:
    for age in _AGE.finditer(text):
        options = tuple(unit for unit in _AGES if unit != age["unit"].lower())
        yield Edit(age.start("unit"), age.end("unit"), options)
    for adult in _ADULT.finditer(text):
        if adult["person"].islower():
            yield Edit(adult.start("person"), adult.end("person"), (_PERSONS[adult["person"]],))


@functools.cache
def _unit_forms() -> dict[str, tuple[str, ...]]:
    """Unit spelling -> the other spellings to write for it."""
    others: dict[str, tuple[str, ...]] = {}
    for _, line in read_rows("units.tsv"):
        forms = [parse_form(form.strip()) for form in line.split("\t")[1].split(" | ")]
        written = [form.text for form in forms if form.written and not form.text.startswith("-")]
        for unit in written:
            others[unit] = tuple(other for other in written if other != unit)
    return others


@functools.cache
def _unit_pattern() -> re.Pattern[str]:
    single = "|".join(re.escape(unit) for unit in sorted(_unit_forms(), key=len, reverse=True))
    return re.compile(
        rf"{_NUMBER}(?:(?P<ratio> ?(?:mg|mcg|g|mEq|mmol|units)(?P<per>/| per )(?:dL|mL|L|kg|day|hour|min))"
        rf"| ?(?P<unit>{single}))(?![\w/%]| per |-| old| of age)"
    )


def _units(text: str) -> Iterator[Edit]:
    """ "mg/dL" <-> "mg per dL", "5 mg" <-> "5 milligrams"; singular and plural are never mixed up."""
    for found in _unit_pattern().finditer(text):
        if found["ratio"]:
            yield Edit(found.start("per"), found.end("per"), ("/" if found["per"] == " per " else " per ",))
        elif not _is_one(found.group()):
            spaced = found.start("unit") > 0 and text[found.start("unit") - 1] == " "
            options = (_spaced(unit, spaced) for unit in _unit_forms()[found["unit"]])
            yield Edit(found.start("unit"), found.end("unit"), tuple(options))


def _is_one(written: str) -> bool:
    return re.match(r"1(?![\d.,/])", written) is not None


def _spaced(unit: str, spaced: bool) -> str:
    return unit if spaced or unit == "%" else f" {unit}"


def _intervals(text: str) -> Iterator[Edit]:
    for found in _EVERY.finditer(text):
        option = f"every {found['short']} hours" if found["short"] else f"q{found['long']}h"
        if found["short"] != "1":
            yield Edit(found.start(), found.end(), (option,))


def _comparators(text: str) -> Iterator[Edit]:
    for found in _SIGN.finditer(text):
        yield Edit(found.start(), found.end(), (_COMPARED[found[1]],))
    for found in _SIGN_WORDS.finditer(text):
        yield Edit(found.start(), found.end(), (_SIGNS[found[1].lower()],))


def _durations(text: str) -> Iterator[Edit]:
    for found in _DURATION.finditer(text):
        yield Edit(found.start(), found.end(), ("for " if found[1] == "x" else "x ",))


def _value_links(text: str, tokens: Sequence[Token], hits: Sequence[Hit]) -> Iterator[Edit]:
    """ "sodium 138" <-> "sodium of 138", but not "sodium chloride 0.9 %", which is given and not measured."""
    for hit in hits:
        if hit.entry.category not in ("lab", "vital") or len(hit.entry.forms) == 1 or hit.stop >= len(tokens):
            continue
        linked = tokens[hit.stop].lower == "of"
        number = hit.stop + linked
        if number >= len(tokens) or not tokens[number].is_number or read_unit(tokens, number + 1)[1] in _DOSES:
            continue
        start, end = tokens[hit.stop - 1].end, tokens[number].start
        if text[start:end] in (" ", " of "):
            yield Edit(start, end, (" " if linked else " of ",))
