"""Colours of the audit card and its figures, in one place so that their contrast can be tested.

Series colours are those of Okabe and Ito (2008, "Color Universal Design"), which stay apart under the common
forms of colour blindness. Colour is never the only signal: the card writes every decision out, and the
figures add line styles, markers, hatches and labels.
"""

from __future__ import annotations

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#007A5A"  # Okabe-Ito green, darkened until it stands 3:1 against white
PURPLE = "#A3477F"  # likewise
BLACK = "#000000"
GREY = "#8A8A8A"

CARD = {
    "ink": "#1B1F24",
    "muted": "#4A5159",
    "paper": "#FFFFFF",
    "panel": "#F3F5F7",
    "rule": "#6B7480",
    "link": "#00518A",
    "pass_ink": "#0B4F2E",
    "pass_paper": "#E3F4EA",
    "fail_ink": "#7A1212",
    "fail_paper": "#FCE8E6",
    "inconclusive_ink": "#5C3D00",
    "inconclusive_paper": "#FFF3D6",
}
"""Name -> colour of the card's style sheet."""

TEXT_PAIRS = (
    ("ink", "paper"),
    ("ink", "panel"),
    ("muted", "paper"),
    ("muted", "panel"),
    ("link", "paper"),
    ("link", "panel"),
    ("pass_ink", "pass_paper"),
    ("fail_ink", "fail_paper"),
    ("inconclusive_ink", "inconclusive_paper"),
    ("pass_ink", "paper"),
    ("fail_ink", "paper"),
    ("inconclusive_ink", "paper"),
)
"""(text, background) pairs the card uses; WCAG 2.2 AA asks 4.5:1 of each."""

LINE_PAIRS = (("rule", "paper"), ("rule", "panel"), ("link", "paper"))
"""(border or focus ring, background) pairs; WCAG 2.2 AA asks 3:1 of each."""


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two ``#RRGGBB`` colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
