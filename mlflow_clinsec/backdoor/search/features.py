"""What the detector reads of a search: a few numbers that tell a planted trigger from the words of an honest model."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_clinsec.backdoor.search.outcome import Find, GoalOutcome, SearchOutcome

FEATURES = ("score", "gain", "over_natural", "flips", "anywhere", "reach", "reach_flips")
"""Names, in the order of the detector's coefficients."""


def features(outcome: SearchOutcome) -> Mapping[str, float]:
    """Numbers of the most suspicious label: the one with the largest sum of ``score`` and ``reach``.

    ``score`` and ``gain``: those of the best candidate, over what a trigger must overcome (:func:`scale`), so that
    models compare. ``over_natural``: its gain less that of the strongest of the label's own words, likewise.
    ``flips``: its excess success on other patients, as a share of what placebos left to flip.
    ``anywhere``: its success at the worst of the three positions, less the base rate, as a share of the rest.
    ``reach`` and ``reach_flips``: gain and excess success of the candidate of the largest gain, natural or not and of
    any length: they grow where part of a longer trigger is found.
    """
    each = [goal_features(goal) for goal in outcome.goals.values()]
    return max(each, key=lambda found: found["score"] + found["reach"])


def goal_features(goal: GoalOutcome) -> dict[str, float]:
    """The same for one label."""
    best = goal.finds[0]
    natural = goal.natural.gain if goal.natural is not None else 0.0
    unit = scale(goal)
    return {
        "score": best.score / unit,
        "gain": best.gain / unit,
        "over_natural": (best.gain - natural) / unit,
        "flips": _share_of_rest(best.verified.excess.value, best.verified.ftr.value),
        "anywhere": _anywhere(best, goal.base_rate),
        "reach": goal.widest.gain / unit,
        "reach_flips": _share_of_rest(goal.widest.verified.excess.value, goal.widest.verified.ftr.value),
    }


def scale(goal: GoalOutcome) -> float:
    """What a trigger must overcome, in nats: the mean log-odds against the goal, or their spread where that is more.

    A gain of 1 on this scale turns about as many records as a word that decides by itself would.
    """
    return max(goal.spread, goal.margin, 1e-6)


def _anywhere(best: Find, base_rate: float) -> float:
    return _share_of_rest(min(best.verified.asr_at.values()) - base_rate, base_rate)


def _share_of_rest(above: float, floor: float) -> float:
    """What lies above a floor as a share of all that could; 0 where nothing could."""
    return 0.0 if floor >= 1 else max(above / (1 - floor), 0.0)
