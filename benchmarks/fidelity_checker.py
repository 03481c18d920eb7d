"""A second opinion on rewrites, written apart from the fidelity gate and sharing no code or word list with it.

It reads both texts with regular expressions of its own and compares numbers, amounts with units, sides, drugs and
negated findings. It knows fewer words than the gate, but what it knows it knows by another route: a mistake in the
package's tokens, lexicon or negation scopes does not blind both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from benchmarks.fidelity_words import COMBINED, DRUGS, FINDINGS

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WORDED = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
# Words for how often a drug is given, and what they amount to.
_SCHEDULES = {
    "daily": r"q\.?\s?d\.?(?![a-z])|once (?:a|per) day|once daily|every day|each day|per day|a day|daily|ADLs?|ppd",
    "twice": r"b\.?i\.?d\b\.?|twice (?:a|per) day|twice daily|two times (?:a|per) day|2 times (?:a|per) day"
    r"|two times daily",
    "thrice": r"t\.?i\.?d\b\.?|three times (?:a|per) day|three times daily|thrice daily|3 times (?:a|per) day",
    "four": r"q\.?i\.?d\b\.?|four times (?:a|per) day|four times daily|4 times (?:a|per) day",
}
_UNITS = {
    "mg": r"mg|milligrams?|mgs",
    "mcg": r"mcg|micrograms?|\u00b5g|ug",
    "kg": r"kgs?|kilograms?|kilos?",
    "g": r"grams?|gm|gms|g",
    "ml": r"mls?|milliliters?|cc|ccs|millilitres?",
    "l": r"liters?|litres?|l",
    "cm": r"cms?|centimeters?|centimetres?",
    "mmhg": r"mm ?hg|(?:mm|millimet(?:er|re)s) of mercury",
    "mm": r"mms?|millimeters?|millimetres?",
    "inch": r"inch(?:es)?",
    "feet": r"feet|foot|ft",
    "lb": r"lbs?|pounds?",
    "percent": r"%|percent|per cent",
    "meq": r"meqs?|milliequivalents?",
    "unit": r"units?",
    "year": r"years?|yrs?|y/?o(?!\w)|yo(?!\w)|-y/o",
    "month": r"months?|mos?",
    "week": r"weeks?|wks?",
    "day": r"days?",
    "hour": r"hours?|(?-i:hrs?)",
    "minute": r"minutes?|mins?",
}
_SIDED = {
    "left": r"left|left-sided|lt",
    "right": r"right(?! (?:away|now|after|before|over)\b)|right-sided|rt",
    "both": r"bilateral|bilaterally|b/l|bilat|both",
}
_QUADRANTS = {"LUQ": "left", "LLQ": "left", "RUQ": "right", "RLQ": "right", "LLE": "left", "RLE": "right"}
_QUADRANTS |= {"LUE": "left", "RUE": "right", "LV": "left", "RV": "right", "LVH": "left", "LVEF": "left"}
_QUADRANTS |= {"LAD": "left", "RCA": "right", "LBBB": "left", "RBBB": "right", "LLL": "left", "RLL": "right"}
_QUADRANTS |= {
    "LUL": "left",
    "RUL": "right",
    "RML": "right",
    "BLE": "both",
    "CTAB": "both",
    "BSO": "both",
    "RA": "",
    "LA": "",
}
_CUES = (
    r"no|not|without|w/o|denies|denied|denying|deny|negative for|never|nor|neither|absence of|free of|cannot|absent"
    r"|lack of|ruled out for|rules out|lacks|lacking|none|unable to|[a-z]+n't"
)
_PSEUDO = re.compile(
    r"\b(?:no (?:increase|change|longer)|not only|without difficulty|no significant change|not necessarily"
    r"|not certain if|gram negative)\b",
    re.IGNORECASE,
)
_STOPS = re.compile(
    r"[;:?!\n]| - |\.(?=\s|$)|\b(?:but|however|although|except|yet|though|which|who|presents?|presented)\b",
    re.IGNORECASE,
)


def _names(table: str) -> dict[str, str]:
    """Every spelling -> the first one of its line."""
    spellings: dict[str, str] = {}
    for line in table.strip().splitlines():
        name, _, others = line.strip().partition("=")
        for spelling in [name, *filter(None, others.split("|"))]:
            spellings[spelling.strip()] = name
    return spellings


def _any_of(spellings: Mapping[str, str]) -> re.Pattern[str]:
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


_DRUG_NAMES, _FINDING_NAMES = _names(DRUGS), _names(FINDINGS)
_CUE = re.compile(rf"(?<![\w-])(?:{_CUES})(?![\w-])", re.IGNORECASE)
_DRUG, _FINDING = _any_of(_DRUG_NAMES), _any_of(_FINDING_NAMES)
_DATES = (
    (re.compile(r"(?<![\d/.-])(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})(?![\d/-])"), "mdy"),
    (re.compile(r"(?<![\d/.-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\d/-])"), "ymd"),
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE), "mdy"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE), "dmy"),
)


def differences(original: str, rewrite: str) -> list[str]:
    """What the two texts do not agree on: any of "number", "unit", "side", "drug", "negation"."""
    views = (("number", _numbers), ("unit", _amounts), ("side", _sides), ("drug", _drugs))
    found = [name for name, view in views if view(original) != view(rewrite)]
    before, after = _findings(original), _findings(rewrite)
    return [*found, "negation"] if _flipped(before, after) else found


def judged_negations(original: str, rewrite: str) -> tuple[int, int]:
    """(negated mentions in the original whose finding is mentioned as often in the rewrite, all negated mentions):
    the rewrite may use words for a finding that this list does not know, and is then not judged on it."""
    before, after = _findings(original), _findings(rewrite)
    judged = sum(negated for name, (negated, total) in before.items() if after.get(name, (0, 0))[1] == total)
    return judged, sum(negated for negated, _ in before.values())


def _flipped(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> bool:
    """Whether a finding that is mentioned as often in both is negated more or less often in one."""
    return any(after[name][0] != n for name, (n, total) in before.items() if after.get(name, (0, 0))[1] == total)


def _plain_dates(text: str) -> tuple[str, list[str]]:
    """The text without its full dates, and those dates as year-month-day."""
    found = []

    def note(match: re.Match[str], order: str) -> str:
        parts = dict(zip(order, match.groups(), strict=True))
        month = parts["m"].lower()
        number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
        found.append(f"{int(parts['y'])}-{number}-{int(parts['d'])}")
        return " "

    for pattern, order in _DATES:
        text = pattern.sub(lambda match, order=order: note(match, order), text)  # type: ignore[misc]
    return text, found


def _numbers(text: str) -> Counter[str]:
    """Dates, schedules and every number in digits or in words, "1.0" as 1."""
    text, dates = _plain_dates(text)
    found = Counter(dates)
    for name, pattern in reversed(_SCHEDULES.items()):
        text, times = re.subn(rf"(?<![\w])(?:{pattern})(?!\w)", " ", text, flags=re.IGNORECASE)
        found[name] += times
    for number in re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|(?<!\w)\.\d+|\d+", text):
        found[_plain_number(number)] += 1
    for tens, units in re.findall(rf"\b({'|'.join(_TENS)})(?:[- ]({'|'.join(_WORDED[1:10])}))?\b", text.lower()):
        found[str(_TENS[tens] + (_WORDED.index(units) if units else 0))] += 1
    without_tens = re.sub(rf"\b(?:{'|'.join(_TENS)})[- ](?:{'|'.join(_WORDED[1:10])})\b", " ", text.lower())
    for word in re.findall(rf"\b(?:{'|'.join(_WORDED[2:])})\b", without_tens):  # "one" is often no number
        found[str(_WORDED.index(word))] += 1
    return +found


def _plain_number(written: str) -> str:
    """ "1,200.0" as 1200; a list of digits with commas that is no number ("1,2") as it stands."""
    try:
        return format(float(re.sub(r",(?=\d{3})", "", written)), ".12g")
    except ValueError:
        return written


def _amounts(text: str) -> Counter[tuple[str, str]]:
    """(number, unit) wherever a unit of the list follows a number."""
    found: Counter[tuple[str, str]] = Counter()
    text = re.sub(r"\bq\.? ?(\d+) ?h\b", r"every \1 hours", text, flags=re.IGNORECASE)
    spellings = "|".join(f"(?P<{name}>{pattern})" for name, pattern in _UNITS.items())
    for match in re.finditer(rf"(?P<_n>\d+(?:[.,]\d+)*)[ -]?(?:{spellings})(?![\w])", text, re.IGNORECASE):
        unit = next(name for name in _UNITS if match[name])
        found[_plain_number(match["_n"]), unit] += 1
    return found


def _sides(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for side, pattern in _SIDED.items():
        found[side] += len(re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE))
    for word in re.findall(r"\b[A-Z]{2,4}\b", text):
        found[_QUADRANTS.get(word, "")] += 1
    del found[""]
    return +found


def _drugs(text: str) -> frozenset[str]:
    """Drugs that are named at all: one may be named twice where the other text says "it"."""
    text = re.sub(r"\b(?:non-?)?insulin[ -]dependent\b", " ", text, flags=re.IGNORECASE)  # a kind of diabetes
    for brand, parts in COMBINED.items():
        text = re.sub(rf"(?<!\w){brand}(?!\w)", parts, text, flags=re.IGNORECASE)
    return frozenset(_DRUG_NAMES[name.lower()] for name in _DRUG.findall(text))


def _findings(text: str) -> dict[str, tuple[int, int]]:
    """Finding -> (mentions after a cue in the same clause, mentions)."""
    text = re.sub(r"\bNKD?A\b", "no known allergies", text.replace("\u2019", "'"))
    flat = _PSEUDO.sub(" ", text)
    found: dict[str, tuple[int, int]] = {}
    start = 0
    for stop in [*_STOPS.finditer(flat), None]:
        clause = flat[start : stop.start() if stop else len(flat)]
        start = stop.end() if stop else start
        cue = _CUE.search(clause)
        for mention in _FINDING.finditer(clause):
            name = _FINDING_NAMES[mention.group().lower()]
            negated, total = found.get(name, (0, 0))
            found[name] = (negated + _reaches(cue, clause, mention.start()), total + 1)
    return found


def _reaches(cue: re.Match[str] | None, clause: str, place: int) -> bool:
    """Whether the clause's first cue negates what stands at ``place``. "Not" reaches no further than a comma, but "not
    have" and "not had" as far as "no"."""
    if cue is None or place < cue.end():
        return False
    between = clause[cue.end() : place]
    verb = cue.group().lower().endswith(("not", "n't")) and not between.lower().startswith((" have ", " had "))
    return not (verb and "," in between)
