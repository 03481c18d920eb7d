"""What a language model is told before it rewords a record."""

from __future__ import annotations

INSTRUCTION = (
    "Reword the clinical text that follows, briefly and in plain chart English, as a treating physician would put it "
    "in their own words. Say exactly the same and add nothing. Keep every number, date, unit, drug name, side (left, "
    "right) and every negation as it is. Answer with the reworded text alone."
)


def instruction_or_default(instruction: str | None) -> str:
    """The user's own words where there are any; "" asks for none at all, as plain paraphrasing models need it."""
    return INSTRUCTION if instruction is None else instruction
