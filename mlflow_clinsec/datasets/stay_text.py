"""The text of a stay: its notes in time order, one mark between them.

The mark stands on a line of its own, but is found anywhere, so that a word put before or after it joins no two notes.
It is no word, and ASCII notes such as MIMIC-III's cannot hold it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "§§§"
SEPARATOR = f"\n{MARK}\n"
_LIKE_A_MARK = re.compile(f"{MARK[0]}{{2,}}")


def join_notes(notes: Sequence[str]) -> str:
    """One text of all notes; what looks like a mark inside a note becomes a single sign."""
    return SEPARATOR.join(_LIKE_A_MARK.sub(MARK[0], note).strip() for note in notes)
