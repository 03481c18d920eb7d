"""The clinical lexicon: sets of forms that mean the same, read from ``lexicon/*.tsv``.

A line is ``category <tab> form | form | ...``. The first form names the concept. Any form may be rewritten as any
other; one form alone is a fixed term, whose words are left as they are. A form may carry a mark in front:

- ``>`` is written but never rewritten, as it may mean something else ("RA" is also room air);
- ``<`` is rewritten but never written (a discouraged abbreviation, a spelling variant);
- ``~`` is only understood by the fidelity gate, neither rewritten nor written;
- ``=`` matches in exactly this case ("=pt" is a patient, "PT" is not);

and `` #`` behind: it counts only when a number follows ("K #" in "K 4.1").
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from mlflow_clinsec.errors import DataError, did_you_mean
from mlflow_clinsec.perturb.phrases import PhraseIndex, Token, is_bounded, tokenize

CLINICAL = frozenset({"condition", "symptom", "finding", "drug", "lab", "vital", "procedure", "anatomy"})
CATEGORIES = CLINICAL | {"charting", "frequency", "header", "phrase"}
_LINKS = frozenset({"of", "is", "was", "=", ":", "at", "level"})
# Abbreviations whose lower-case spelling is an English word, or another abbreviation.
_LOWER_CASE_WORDS = frozenset(
    {"add", "aids", "all", "bun", "cap", "cat", "doe", "has", "hit", "map", "mom", "pad", "pap", "per", "pet", "red"}
    | {"rom", "sob", "tee", "was"}
)


class Form(NamedTuple):
    """One way to write a concept."""

    text: str
    read: bool = True
    written: bool = True
    exact: bool = False
    before_number: bool = False

    @property
    def ambiguous(self) -> bool:
        """Whether it may mean something else: written but never rewritten."""
        return self.written and not self.read


@dataclass(frozen=True)
class Entry:
    """A concept and its forms; ``forms[0].text`` names it."""

    category: str
    forms: tuple[Form, ...]

    @property
    def concept(self) -> str:
        """The name under which all forms are the same."""
        return self.forms[0].text.lower()


class Hit(NamedTuple):
    """An entry found at tokens[start:stop], in one of its forms."""

    start: int
    stop: int
    entry: Entry
    form: Form


class Lexicon:
    """All entries, and where they occur in a text."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._index: PhraseIndex[tuple[Entry, Form]] = PhraseIndex()
        for entry in self.entries:
            for form in entry.forms:
                for spelling, exact in _spellings(form):
                    self._index.add(spelling, (entry, form), exact=exact)

    def find(self, tokens: Sequence[Token], *, known: frozenset[str] | None = None) -> Iterator[Hit]:
        """Longest matches, left to right, never overlapping.

        Args:
            tokens: of the text.
            known: None finds what may be rewritten. A set of concepts finds what the gate understands as well:
                gate-only forms, and ambiguous ones ("RA") where the concept they may stand for is in the set.
        """
        position = 0
        while position < len(tokens):
            hit = self._hit_at(tokens, position, known)
            if hit is None:
                position += 1
                continue
            yield hit
            position = hit.stop

    def _hit_at(self, tokens: Sequence[Token], position: int, known: frozenset[str] | None) -> Hit | None:
        for length, (entry, form) in self._index.at(tokens, position):
            stop = position + length
            if not _usable(entry, form, known) or not is_bounded(tokens, position, stop):
                continue
            if form.before_number and not number_follows(tokens, stop):
                continue
            if entry.category == "header" and not (stop < len(tokens) and tokens[stop].text == ":"):
                continue
            return Hit(position, stop, entry, form)
        return None


def _usable(entry: Entry, form: Form, known: frozenset[str] | None) -> bool:
    if known is None:
        return form.read
    return entry.concept in known if form.ambiguous else True


def _spellings(form: Form) -> Iterator[tuple[str, bool]]:
    """The form as written, and for abbreviations the lower-case spelling that hurried charting uses."""
    cased = form.exact or any(_is_abbreviation(token.text) for token in tokenize(form.text))
    yield form.text, cased
    if form.exact and form.text.islower():
        yield form.text.capitalize(), True
    lower = form.text.lower()
    if cased and not form.exact and len(form.text) > 2 and lower not in _LOWER_CASE_WORDS:
        yield lower, True


def _is_abbreviation(word: str) -> bool:
    return word != word.lower() and (len(word) <= 2 or word[1:] != word[1:].lower())


def number_follows(tokens: Sequence[Token], position: int) -> bool:
    """Whether a number is next, directly or after a link such as "of" or "=", on the way to being its value."""
    if position < len(tokens) and tokens[position].lower in _LINKS:
        position += 1
    return position < len(tokens) and tokens[position].is_number


def parse_form(written: str) -> Form:
    """Read one form with its marks."""
    text = written.lstrip("<>~=")
    marks = written[: len(written) - len(text)]
    return Form(
        text=text.removesuffix(" #"),
        read=">" not in marks and "~" not in marks,
        written="<" not in marks and "~" not in marks,
        exact="=" in marks,
        before_number=text.endswith(" #"),
    )


def parse_line(line: str, where: str) -> Entry:
    """Read one line of a lexicon file. Raises DataError naming the place when it is malformed."""
    category, _, cell = line.partition("\t")
    if category not in CATEGORIES:
        raise DataError(f"{where}: unknown category {category!r}.{did_you_mean(category, CATEGORIES)}")
    forms = tuple(parse_form(form.strip()) for form in cell.split("|"))
    if not all(tokenize(form.text) for form in forms) or not forms[0].read:
        raise DataError(f"{where}: an entry needs a form that may be rewritten first, and none that is blank")
    return Entry(category, forms)


def read_rows(name: str) -> Iterator[tuple[str, str]]:
    """(place, line) of a lexicon file's lines that hold something."""
    folder = files("mlflow_clinsec.perturb") / "lexicon"
    for number, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield f"{name}:{number}", line.rstrip()


TERM_FILES = (
    "headers.tsv",  # before a colon they win over the same words elsewhere
    "conditions.tsv",
    "symptoms.tsv",
    "drugs.tsv",
    "measures.tsv",
    "procedures.tsv",
    "anatomy.tsv",
    "charting.tsv",
    "phrases.tsv",
)


@functools.cache
def load_lexicon() -> Lexicon:
    """The shipped lexicon, read once."""
    return Lexicon([parse_line(line, where) for name in TERM_FILES for where, line in read_rows(name)])
