"""The fidelity gate: does a rewrite still say what the original says?

It compares what a misquoted chart would get wrong: numbers and dates, their units, what they measure, laterality,
negation and drugs. It is deliberately strict and cheap: a rewrite that it cannot vouch for is refused, and another one
is asked for. It judges any rewrite, whatever engine or person made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.change import word_change, words
from mlflow_clinsec.perturb.profile import Profile, concepts_of, profile_of

REASONS = (
    "empty",
    "overlong",
    "unchanged",
    "overchanged",
    "surrogate",
    "number",
    "unit",
    "laterality",
    "negation",
    "drug",
    "dissimilar",
)
# Spelling abbreviations out lengthens a text; a model that runs on lengthens it more.
_MOST_GROWTH, _GROWTH_OF_SHORT = 2, 20


@dataclass(frozen=True)
class FidelityGate:
    """Refuses rewrites that change too little, too much, or what is said.

    Attributes:
        min_change, max_change: bounds on the share of words changed (``change.word_change``), both allowed themselves.
        min_similarity: least similarity of an accepted rewrite, where a measure is given.
        similarity: (original, rewrite) -> similarity; the one check that is asked last, as it costs most.

    Raises:
        ConfigError: when the bounds are not 0 <= min_change <= max_change <= 1.
    """

    min_change: float = 0.05
    max_change: float = 0.9
    min_similarity: float = -1.0
    similarity: Callable[[str, str], float] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.min_change <= self.max_change <= 1:
            raise ConfigError(
                "paraphrase: expected 0 <= min_change <= max_change <= 1, "
                f"got min_change={self.min_change}, max_change={self.max_change}"
            )

    def refusal(self, original: str, rewrite: str) -> str:
        """ "" when the rewrite is accepted, else the first of ``REASONS`` that applies."""
        return (
            self.change_refusal(original, rewrite)
            or self.meaning_refusal(original, rewrite)
            or self.similarity_refusal(original, rewrite)
        )

    def change_refusal(self, original: str, rewrite: str) -> str:
        """ "empty", "overlong", "unchanged" or "overchanged"; "" when the extent of the change is fine."""
        if not rewrite.strip():
            return "empty"
        if len(words(rewrite)) > _MOST_GROWTH * len(words(original)) + _GROWTH_OF_SHORT:
            return "overlong"
        change = word_change(original, rewrite)
        if change == 0 or change < self.min_change:
            return "unchanged"
        return "overchanged" if change > self.max_change else ""

    def meaning_refusal(self, original: str, rewrite: str) -> str:
        """What the rewrite says differently; "" when nothing that can be checked."""
        known = concepts_of(original)
        before, after = profile_of(original, known), profile_of(rewrite, known)
        for reason, same in _CHECKS:
            if not same(before, after):
                return reason
        return ""

    def similarity_refusal(self, original: str, rewrite: str) -> str:
        """ "dissimilar" when the measure, if there is one, does not reach its floor."""
        if self.similarity is None:
            return ""
        return "" if self.similarity(original, rewrite) >= self.min_similarity else "dissimilar"


def _same_surrogates(before: Profile, after: Profile) -> bool:
    return before.surrogates == after.surrogates


def _same_numbers(before: Profile, after: Profile) -> bool:
    lost, gained = before.numbers - after.numbers, after.numbers - before.numbers
    # "1" may become "one" and back, but a "one" that stands in both texts answers for nothing.
    loose_gained = after.loose_numbers - before.loose_numbers
    loose_lost = before.loose_numbers - after.loose_numbers
    covered = lost <= loose_gained and gained <= loose_lost
    return covered and before.frequencies == after.frequencies and _same_values(before, after)


def _same_values(before: Profile, after: Profile) -> bool:
    """Each concept that has values in both texts has the same ones, unless one of the texts gives it more of them."""
    shared = before.values.keys() & after.values.keys()
    return all(_nested(before.values[concept], after.values[concept]) for concept in shared)


def _nested(first: Counter[str], second: Counter[str]) -> bool:
    return first <= second or second <= first


def _same_units(before: Profile, after: Profile) -> bool:
    return before.amounts == after.amounts


def _same_sides(before: Profile, after: Profile) -> bool:
    """Sides agree in number; where both sides occur they must also describe the same things."""
    if before.sides != after.sides:
        return False
    return not {"left", "right"} <= before.sides.keys() or before.sided == after.sided


def _same_negation(before: Profile, after: Profile) -> bool:
    if before.negated != after.negated or before.vague_cues != after.vague_cues:
        return False
    if bool(before.cues) != bool(after.cues):
        return False
    shared = before.polarity.keys() & after.polarity.keys()
    return not any(_flipped(before.polarity[word], after.polarity[word]) for word in shared)


def _flipped(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """A word used equally often that is negated more or less often."""
    return before[1] == after[1] and before[0] != after[0]


def _same_drugs(before: Profile, after: Profile) -> bool:
    """The same drugs; one may be named less often, but not while another is named more often."""
    swapped = before.drugs - after.drugs and after.drugs - before.drugs
    return before.drugs.keys() == after.drugs.keys() and not swapped


_CHECKS = (
    ("surrogate", _same_surrogates),
    ("number", _same_numbers),
    ("unit", _same_units),
    ("laterality", _same_sides),
    ("negation", _same_negation),
    ("drug", _same_drugs),
)
