"""Author styles: how a writer heads sections, abbreviates, lists items and mistypes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.datasets.grammar import capitalize_sentences, pick

ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "patient": ("pt", "pt."),
    "with": ("w/",),
    "without": ("w/o",),
    "history": ("hx",),
    "secondary to": ("2/2",),
    "status post": ("s/p",),
    "shortness of breath": ("SOB",),
    "continue": ("cont", "c/w"),
    "follow up": ("f/u",),
    "treatment": ("tx",),
    "diagnosis": ("dx",),
    "medications": ("meds",),
    "abdominal": ("abd",),
    "respiratory": ("resp",),
    "bilateral": ("b/l",),
    "antibiotics": ("abx",),
    "transfer": ("txfer", "tx"),
    "before": ("prior to",),
    "morning": ("AM",),
    "increased": ("inc", "incr"),
    "chest pain": ("CP",),
    "evaluation": ("eval",),
    "consulted": ("c/s'd",),
}
_LONGEST_FIRST = sorted(ABBREVIATIONS, key=len, reverse=True)
_ABBREVIABLE = re.compile(rf"\b({'|'.join(map(re.escape, _LONGEST_FIRST))})\b")
# Only plain lower-case words are mistyped, so that numbers, units and surrogates stay readable; five letters at
# least, so that a slip cannot create one of the two-letter trigger words.
_TYPEABLE = re.compile(r"(?<![\w*/])[a-z]{5,}(?![\w*/])")


@dataclass(frozen=True)
class Style:
    """One writer.

    Attributes:
        abbreviate: probability that an abbreviable phrase is shortened.
        typo_rate: probability that a word of five letters or more is mistyped.
        heading: turns a section title into its heading.
        bullet: what starts an item of a list.
        tidy: sentences start with a capital letter.
        compact: sections are separated by one newline rather than two.
    """

    abbreviate: float
    typo_rate: float
    heading: Callable[[str], str]
    bullet: str
    tidy: bool
    compact: bool


_HEADINGS: tuple[Callable[[str], str], ...] = (
    lambda title: f"{title}:",
    lambda title: f"{title.upper()}:",
    lambda title: f"{title.lower()}:",
    lambda title: f"{title} -",
    lambda title: f"** {title}",
)


def draw_style(rng: np.random.Generator) -> Style:
    """A writer at random."""
    return Style(
        abbreviate=pick(rng, (0.0, 0.2, 0.5, 0.8)),
        typo_rate=pick(rng, (0.0, 0.004, 0.012)),
        heading=pick(rng, _HEADINGS),
        bullet=pick(rng, ("- ", "# ", "* ", "")),
        tidy=bool(rng.random() < 0.6),
        compact=bool(rng.random() < 0.5),
    )


def _slip(word: str, rng: np.random.Generator) -> str:
    """Two inner letters swapped, one lost, or one doubled."""
    at = 1 + int(rng.random() * (len(word) - 3))
    kind = int(rng.random() * 3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def write(text: str, style: Style, rng: np.random.Generator) -> str:
    """``text`` as this writer would type it."""

    def shorten(match: re.Match[str]) -> str:
        return pick(rng, ABBREVIATIONS[match[0]]) if rng.random() < style.abbreviate else match[0]

    def mistype(match: re.Match[str]) -> str:
        return _slip(match[0], rng) if rng.random() < style.typo_rate else match[0]

    if style.tidy:
        text = capitalize_sentences(text)
    if style.abbreviate:
        text = _ABBREVIABLE.sub(shorten, text)
    return _TYPEABLE.sub(mistype, text) if style.typo_rate else text
