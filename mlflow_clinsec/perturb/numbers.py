"""Quantities in clinical text: numbers in digits or words, dates, comparators and units, each in one normal form.

Used by the fidelity gate, which must see "twenty-five mg" and "25 milligrams" as the same and "25 mg" and "25 mcg"
as different. Slash dates are read month first, as United States charts write them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from mlflow_clinsec.perturb.phrases import PhraseIndex, Token
from mlflow_clinsec.perturb.vocabulary import parse_form, read_rows


def _numerals(kind: str) -> dict[str, str]:
    """Word -> value of one kind in ``lexicon/numerals.tsv``."""
    rows = (line.split("\t") for _, line in read_rows("numerals.tsv"))
    return {word: value for row_kind, word, value in rows if row_kind == kind}


MONTHS = tuple(_numerals("month"))
_MONTH = "|".join([*MONTHS, *(month[:3] for month in MONTHS if month != "may"), "sept"])
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
DATE_FORMATS = tuple(
    re.compile(rf"(?<![\w/.-]){pattern}(?![\w/]|[.-]\d)", re.IGNORECASE)
    for pattern in (
        r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
        r"(?P<m>\d{1,2})[/-](?P<d>\d{1,2})[/-](?P<y>\d{4}|\d{2})",
        rf"(?P<m>{_MONTH})\.?\s+(?P<d>{_DAY}),?\s+(?P<y>\d{{4}})",
        rf"(?P<d>{_DAY})\s+(?:of\s+)?(?P<m>{_MONTH})\.?,?\s+(?P<y>\d{{4}})",
        rf"(?P<m>{_MONTH})\.?,?\s+(?:of\s+)?(?P<y>\d{{4}})",
        rf"(?P<m>{_MONTH})\.?\s+(?P<d>{_DAY})",
        rf"(?P<d>{_DAY})\s+(?:of\s+)?(?P<m>{_MONTH})",
    )
)
_SMALL = {word: int(value) for word, value in _numerals("small").items()}
_TENS = {word: int(value) for word, value in _numerals("tens").items()}
_ORDINALS = _numerals("ordinal")
_LOOSE = _numerals("loose")


class Quantity(NamedTuple):
    """A number at tokens[start:stop] (its unit included).

    ``value`` is normalised ("5.0" -> "5", "March 4, 2150" -> "2150-3-4"); ``loose`` marks words such as "one" that
    often are no number at all.
    """

    start: int
    stop: int
    value: str
    unit: str = ""
    loose: bool = False


class Date(NamedTuple):
    """A calendar date at text[start:end]; 0 stands for a part that is not given."""

    start: int
    end: int
    year: int
    month: int
    day: int


def find_dates(text: str) -> list[Date]:
    """Dates in the text, left to right, never overlapping; impossible ones (month 13) are left as plain numbers."""
    found: list[Date] = []
    taken: set[int] = set()
    for pattern in DATE_FORMATS:
        for match in pattern.finditer(text):
            date = _date(match)
            if date is not None and taken.isdisjoint(range(date.start, date.end)):
                found.append(date)
                taken.update(range(date.start, date.end))
    return sorted(found)


def _date(match: re.Match[str]) -> Date | None:
    parts = {key: value for key, value in match.groupdict().items() if value}
    month = parts["m"].lower()
    number = int(month) if month.isdecimal() else [m[:3] for m in MONTHS].index(month[:3]) + 1
    day = int(re.sub(r"\D", "", parts.get("d", "0")))
    if not (1 <= number <= 12 and ("d" not in parts or 1 <= day <= 31)):
        return None
    return Date(match.start(), match.end(), int(parts.get("y", "0")), number, day)


@functools.cache
def unit_index() -> PhraseIndex[str]:
    """Unit spellings -> canonical unit."""
    index: PhraseIndex[str] = PhraseIndex()
    for _, line in read_rows("units.tsv"):
        canonical, forms = line.split("\t")
        for written in forms.split(" | "):
            form = parse_form(written.strip()).text.strip(" -")
            index.add(form, canonical, exact=len(form) == 1 and form.isupper())
    return index


@functools.cache
def _comparator_index() -> PhraseIndex[str]:
    index: PhraseIndex[str] = PhraseIndex()
    for form, sign in _numerals("compare").items():
        index.add(form, sign)
    return index


def read_quantities(text: str, tokens: Sequence[Token]) -> Iterator[Quantity]:
    """Every quantity in the text, left to right."""
    dates = {date.start: date for date in find_dates(text)}
    position = 0
    while position < len(tokens):
        quantity = _quantity_at(tokens, position, dates)
        if quantity is None:
            position += 1
            continue
        yield quantity
        position = quantity.stop


def _quantity_at(tokens: Sequence[Token], position: int, dates: dict[int, Date]) -> Quantity | None:
    date = dates.get(tokens[position].start)
    if date is not None:
        stop = position
        while stop < len(tokens) and tokens[stop].start < date.end:
            stop += 1
        return Quantity(position, stop, f"{date.year}-{date.month}-{date.day}", "date")
    sign = _comparator_index().longest_at(tokens, position)
    start = position + sign[0] if sign else position
    read = _value_at(tokens, start)
    if read is None:
        return None
    stop, value, loose = read
    stop, unit = read_unit(tokens, stop)
    return Quantity(position, stop, (sign[1] if sign else "") + value, unit, loose)


def _value_at(tokens: Sequence[Token], position: int) -> tuple[int, str, bool] | None:
    """(stop, normal form, loose) of the number at ``position``, or None."""
    if position >= len(tokens):
        return None
    if tokens[position].is_number:
        return _digits_at(tokens, position)
    stop, spelled = _spelled_at(tokens, position)
    if stop - position > 1 or spelled > 1:
        return stop, str(spelled), False
    word = tokens[position].lower
    if word in _ORDINALS:
        return position + 1, _ORDINALS[word], False
    return (position + 1, _LOOSE[word], True) if word in _LOOSE else None


def _digits_at(tokens: Sequence[Token], position: int) -> tuple[int, str, bool]:
    """A number in digits; "120/80", "120 over 80" and "14:30" stay one value, as their order matters."""
    value = normal_number(tokens[position].text)
    if _is_minus(tokens, position - 1):
        value = f"-{value}"
    stop = position + 1
    if stop + 1 < len(tokens) and tokens[stop + 1].is_number:
        link, following = tokens[stop], tokens[stop + 1]
        joined = link.glued and following.glued and link.text in "/:"
        if joined or link.lower == "over":
            mark = "/" if link.lower == "over" else link.text
            return stop + 2, f"{value}{mark}{normal_number(following.text)}", False
    return stop, value, False


def _is_minus(tokens: Sequence[Token], position: int) -> bool:
    if position < 0 or tokens[position].text != "-" or not tokens[position + 1].glued:
        return False
    return position == 0 or not tokens[position].glued


def normal_number(written: str) -> str:
    """ "1,200" -> "1200", "5.0" -> "5", ".50" -> "0.5"."""
    try:
        return format(Decimal(written.replace(",", "")).normalize(), "f")
    except InvalidOperation:
        return written


def _spelled_at(tokens: Sequence[Token], position: int) -> tuple[int, int]:
    """(stop, value) of a number in words such as "one hundred and twenty-five"; stop == position when none."""
    total, stop = 0, position
    while stop < len(tokens):
        word = tokens[stop].lower
        fresh = stop == position
        if word == "hundred" and not fresh and 1 <= total <= 9:
            total *= 100
        elif word in _TENS and (fresh or total % 100 == 0):
            total += _TENS[word]
        elif word in _SMALL and (fresh or (total % 10 == 0 and total >= 20)):
            total += _SMALL[word]
        elif not fresh and word in ("-", "and") and _continues(tokens, stop, total):
            pass
        else:
            break
        stop += 1
    return stop, total


def _continues(tokens: Sequence[Token], position: int, total: int) -> bool:
    """Whether "-" or "and" at ``position`` joins "twenty-five" or "hundred and five" rather than two numbers."""
    if position + 1 >= len(tokens):
        return False
    following = tokens[position + 1].lower
    if tokens[position].text == "-":
        return 20 <= total % 100 <= 90 and total % 10 == 0 and 1 <= _SMALL.get(following, 0) <= 9
    return total >= 100 and total % 100 == 0 and (following in _SMALL or following in _TENS)


def read_unit(tokens: Sequence[Token], position: int) -> tuple[int, str]:
    """(stop, canonical unit) right after a number: "mg/dL" and "mg per dL" are both "mg/dl"; "" when none."""
    start = position
    if start + 1 < len(tokens) and tokens[start].text == "-" and tokens[start].glued:
        start += 1
    stop, unit = _unit_at(tokens, start)
    if not unit:
        return position, ""
    while stop < len(tokens) and tokens[stop].lower in ("/", "per"):
        end, denominator = _unit_at(tokens, stop + 1)
        if not denominator:
            break
        stop, unit = end, f"{unit}/{denominator}"
    return stop, unit


def _unit_at(tokens: Sequence[Token], position: int) -> tuple[int, str]:
    if position < len(tokens):
        for length, unit in unit_index().at(tokens, position):
            stop = position + length
            if stop == len(tokens) or not (tokens[stop].glued and (tokens[stop].is_word or tokens[stop].is_number)):
                return stop, unit
    return position, ""
