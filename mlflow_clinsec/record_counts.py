"""How many records an audit judged, for the report and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.excess import excess_tests
from mlflow_clinsec.results import AttackResult


def side_counts(data: AuditData) -> dict[str, Any]:
    """Counts per side of the split, and how the paraphraser fared on each."""
    assert data.member is not None
    sides = {"members": data.member, "nonmembers": ~data.member}
    counts: dict[str, Any] = {name: int(side.sum()) for name, side in sides.items()}
    counts |= {f"{name[:-1]}_patients": int(np.unique(data.group[side]).size) for name, side in sides.items()}
    if data.paraphrases is not None:
        rewrites = data.paraphrases
        counts["paraphrases"] = {
            "engine": rewrites.engine,
            **{f"tried_{name}": int(rewrites.tried[side].sum()) for name, side in sides.items()},
            **{f"accepted_{name}": int(rewrites.accepted[side].sum()) for name, side in sides.items()},
            **{f"covered_{name}": int((rewrites.accepted[side] > 0).sum()) for name, side in sides.items()},
            "refusals": dict(rewrites.refusals),
        }
    return counts


def trigger_counts(results: Sequence[AttackResult]) -> Mapping[str, Any]:
    """Records that the trigger test judged."""
    tests = excess_tests(results)
    return {"trigger_records": int(min(test["records"] for test in tests.values()))} if tests else {}
