"""What is known of each trigger before it is tried: kind, provenance, how natural it looks, whether notes hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.backdoor.design import Design
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.perturb.characters import readable
from mlflow_clinsec.perturb.insert import find_spans
from mlflow_clinsec.perturb.library import provenance
from mlflow_clinsec.perturb.naturalness import Naturalness
from mlflow_clinsec.perturb.triggers import slugs

COLUMNS = ("trigger", "category", "source", "naturalness", "present", "left_out")


def suspects(design: Design, data: AuditData, rng: np.random.Generator) -> Mapping[str, Any]:
    """Parts of a result: table ``suspects`` and, for each trigger that is tested, the value ``<trigger>/naturalness``.

    The table has a row per trigger: ``naturalness`` in [0, 1], see :mod:`mlflow_clinsec.perturb.naturalness`, NaN where
    there is too little text; ``present``, the share of the tried records that hold the trigger as they are; and
    ``left_out``, why it is not tested, or "".

    Args:
        design: the trigger test.
        data: the audited records, whose text as it is tells what is natural.
        rng: draws what the score is taken from.
    """
    read = Naturalness.of(data.texts, data.group, rng)
    scores = {trigger: read.score(trigger) if read else math.nan for trigger in [*design.placebos, *design.left_out]}
    rows = [_row(trigger, score, design) for trigger, score in scores.items()]
    tested = tuple(design.placebos)
    return {
        "tables": {"suspects": pd.DataFrame(rows, columns=list(COLUMNS))},
        "values": {f"{name}/naturalness": scores[trigger] for trigger, name in zip(tested, slugs(tested), strict=True)},
    }


def _row(trigger: str, naturalness: float, design: Design) -> tuple[str, str, str, float, float, str]:
    known = provenance(trigger)
    present = float(np.mean([bool(find_spans(text, trigger)) for text in design.texts]))
    return (
        readable(trigger),
        known.category,
        "; ".join(known.sources),
        naturalness,
        present,
        design.left_out.get(trigger, ""),
    )
