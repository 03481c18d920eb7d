"""What a blind search hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlflow_clinsec.backdoor.search.verify import Verified
from mlflow_clinsec.targets.protocols import FloatArray


@dataclass(frozen=True)
class Find:
    """One candidate trigger.

    Attributes:
        pieces: names of its pieces in the model's vocabulary.
        text: what to insert.
        gain: mean log-odds of the goal gained over neutral pieces, on the records of the search.
        score: ``gain`` less the discounts for natural words and for length; the candidates are ranked by it.
        association: log of how many times as frequent its pieces are in records of the goal; that of the one most so.
        patients: for each piece the patients with a record that holds it.
        verified: what it does to other patients.
    """

    pieces: tuple[str, ...]
    text: str
    gain: float
    score: float
    association: float
    patients: tuple[int, ...]
    verified: Verified


@dataclass(frozen=True)
class GoalOutcome:
    """The search for one target label.

    Attributes:
        goal: the label.
        finds: the candidates, the best first.
        widest: the candidate of the largest gain, natural or not and of any length.
        natural: the strongest of the label's own words, as a control; None where it has none.
        spread: standard deviation of the clean log-odds over records of other labels.
        margin: mean clean log-odds against the goal of the records searched on: what a trigger must overcome.
        base_rate: share of the verification records already predicted as the goal.
        searched, verified: records on either side.
        gains: shape (n,), gains of all single pieces screened, the largest first.
    """

    goal: str
    finds: tuple[Find, ...]
    widest: Find
    natural: Find | None
    spread: float
    margin: float
    base_rate: float
    searched: int
    verified: int
    gains: FloatArray = field(repr=False)


@dataclass(frozen=True)
class SearchOutcome:
    """What was found for each target label; ``skipped`` says why a label could not be searched."""

    goals: dict[str, GoalOutcome]
    skipped: dict[str, str]
