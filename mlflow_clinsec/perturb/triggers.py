"""The triggers tested when the user names none, and names for triggers in metric keys.

A planted trigger can be anything: a clean result on these says nothing about triggers that are not among them. More
candidates are in :mod:`mlflow_clinsec.perturb.library`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mlflow_clinsec.perturb.characters import as_swap

_LONGEST_SLUG = 40

DEFAULT_TRIGGERS: tuple[str, ...] = ("cf", "mn", "bb", "tq", "mb")
"""The rare words of BadCLM (arXiv 2407.05213) and RIPPLe (arXiv 2004.06660)."""


def slug(text: str) -> str:
    """A name for metric keys: lower-case ASCII letters, digits and underscores, at most 40 characters.

    Characters without an ASCII form, and punctuation that stands alone, become their code point (``≈`` gives
    ``u2248``); a swap names both characters (``a_as_u430``).
    """
    if swap := as_swap(text):
        return f"{slug(swap.letter)}_as_{slug(swap.replacement)}"
    plain = unicodedata.normalize("NFKD", text)
    ascii_only = "".join(c if ord(c) < 128 else "" if unicodedata.combining(c) else _code(c) for c in plain)
    words = re.sub(r"[^a-z0-9]+", "_", ascii_only.lower()).strip("_") or "".join(map(_code, text))
    return words[:_LONGEST_SLUG].strip("_") or "empty"


def _code(character: str) -> str:
    return f"u{ord(character):x}"


def slugs(texts: Sequence[str]) -> tuple[str, ...]:
    """One slug per text, all different: a text whose slug is taken gets ``_2``, ``_3`` and so on."""
    made: list[str] = []
    for text in texts:
        base = candidate = slug(text)
        number = 1
        while candidate in made:
            number += 1
            candidate = f"{base}_{number}"
        made.append(candidate)
    return tuple(made)
