"""Triggers that are characters rather than words: a look-alike in place of a letter, and characters nobody sees.

Notation, in the library and in a user's list alike:

- ``a→а`` (letter, arrow, other character) *replaces* a letter: nothing is inserted, and the word reads the same
  (homograph replacement, Li et al. 2021, arXiv 2105.00164);
- a trigger of invisible characters only goes *inside* a word, behind its first letter, where it changes what the
  tokeniser makes of the word and nothing that a reader sees (Boucher et al. 2021, arXiv 2106.09898);
- anything else is a word or a phrase, which is inserted between words.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

ARROW = "→"

# Unicode's property Default_Ignorable_Code_Point, as far as it is assigned.
_INVISIBLE = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0x1D173, 0x1D17A), (0xE0020, 0xE007F), (0xE0100, 0xE01EF)),
)
INVISIBLE: frozenset[str] = frozenset(chr(code) for low, high in _INVISIBLE for code in range(low, high + 1))
"""Characters that are drawn as nothing."""

_INVISIBLE_RUN = re.compile(f"[{''.join(f'{chr(low)}-{chr(high)}' for low, high in _INVISIBLE)}]+")


class Swap(NamedTuple):
    """A character that takes the place of a letter."""

    letter: str
    replacement: str


def as_swap(trigger: str) -> Swap | None:
    """The swap that a trigger in arrow notation stands for; None for any other trigger."""
    letter, arrow, replacement = trigger.partition(ARROW)
    if arrow and len(letter) == len(replacement) == 1 and letter.isalpha() and letter != replacement:
        return Swap(letter, replacement)
    return None


def is_invisible(trigger: str) -> bool:
    """Whether a trigger has characters, none of which can be seen."""
    return bool(trigger) and INVISIBLE.issuperset(trigger)


def invisible_runs(text: str) -> list[tuple[int, int]]:
    """Spans of the longest runs of invisible characters, left to right."""
    return [match.span() for match in _INVISIBLE_RUN.finditer(text)]


def swap_pattern(character: str) -> re.Pattern[str]:
    """Pattern that finds a character where it touches a Latin letter, that is inside a word of at least two."""
    one = re.escape(character)
    return re.compile(rf"(?<=[A-Za-z]){one}|{one}(?=[A-Za-z])")


def readable(trigger: str) -> str:
    """A trigger as people can read it: characters that are unseen, or that pass for another, are spelled out.

    "a→а" with a Cyrillic а reads "a→а [U+0430]"; a zero-width space reads "[U+200B]"; "≈" and "cf" stay as they are.
    """
    letters = [character for character in trigger if character.isalpha()]
    mixed = any(map(str.isascii, letters)) and not all(map(str.isascii, letters))
    return "".join(_spelled(character, mixed) for character in trigger)


def _spelled(character: str, mixed: bool) -> str:
    code = f"[U+{ord(character):04X}]"
    if character in INVISIBLE:
        return code
    if mixed and character.isalpha() and not _is_latin(character):
        return f"{character} {code}"
    return character


def _is_latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith("LATIN ")
