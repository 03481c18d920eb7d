"""The budget of a blind search."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_clinsec.strict import setting

LONGEST = 3
"""Most pieces of a found trigger."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How far a search goes. Passes count model inputs, per target label.

    Attributes:
        records: records of other labels that candidates are searched on.
        verify_records: records of other patients that the finds are verified on, at each position.
        exact_passes: when every piece of the vocabulary can be tried on a record within this many passes, all are;
            a larger vocabulary is swept by gradients only.
        shortlist: pieces that go from the sweep into real forward passes.
        beam: candidates that are extended to a second and third piece; 0 searches single pieces only.
        relaxed_steps: optimiser steps of the relaxed inversion; 0 leaves it out.
        max_pieces: longest trigger searched for.
        shown: candidates that are verified and reported for each label.
    """

    records: int = setting(32, low=8)
    verify_records: int = setting(40, low=8)
    exact_passes: int = setting(4000, low=0)
    shortlist: int = setting(192, low=16)
    beam: int = setting(3, low=0)
    relaxed_steps: int = setting(40, low=0)
    max_pieces: int = setting(LONGEST, low=1, high=LONGEST)
    shown: int = setting(3, low=1, high=20)
