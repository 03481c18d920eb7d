"""How well the strongest attack does in each subgroup, without giving a small group away.

A level is shown by its name only when at least ``min_cell`` members and as many non-members (patients) stand in it;
the others are pooled under "other". Where they are too few even together, they are left out, and the counts of the
smallest level that is shown are withheld, so that nobody can work the others out from the totals.

The attack was chosen for its AUC over all records, and several levels are looked at: the intervals allow for
neither, and show where to look rather than prove a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.results import AttackResult, Family, Status
from mlflow_clinsec.stats.bootstrap import ranking_bootstrap

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TABLE = "subgroups"
OTHER = "other"
WITHHELD = "withheld"
_LEAST_SIDE = 2  # an AUC needs two records on each side for any spread at all


def with_breakdown(
    results: Sequence[AttackResult],
    data: AuditData,
    judged: Collection[str],
    rng: np.random.Generator,
    *,
    min_cell: int,
    n_boot: int,
) -> list[AttackResult]:
    """The results, the judged attack with the largest AUC having a table ``subgroups`` where there are any.

    Args:
        results: all results; membership scores belong to ``data``, record by record.
        judged: names of the attacks that a policy may judge.
        rng: resamples patients.
        min_cell: fewest patients on each side of a level that is shown.
        n_boot: resamples.
    """
    able = [r for r in results if r.family is Family.PRIVACY and r.name in judged and _auc(r) > -np.inf]
    if not data.subgroups or not able:
        return list(results)
    worst = max(able, key=_auc)
    assert worst.scores is not None
    table = break_down(worst.scores, data, rng, min_cell=min_cell, n_boot=n_boot)
    if table.empty:
        return list(results)
    return [replace(r, tables={**r.tables, TABLE: table}) if r is worst else r for r in results]


def break_down(
    scores: FloatArray, data: AuditData, rng: np.random.Generator, *, min_cell: int, n_boot: int
) -> pd.DataFrame:
    """One row per column and level: ``n_members`` and ``n_nonmembers`` (scored records, or "withheld"), AUC
    and TPR at 1% FPR.

    Columns ``auc_low`` and ``auc_high`` are the 95% interval, as for all records. The TPR is NaN below 100 non-members.
    """
    assert data.member is not None
    usable = np.isfinite(scores)
    kept, records = scores[usable], data.select(usable)
    assert records.member is not None
    rows = []
    for column, levels in records.subgroups.items():
        for level in shown_levels(levels, records.member, records.group, max(min_cell, _LEAST_SIDE)):
            row = _row(kept[level.inside], records.select(level.inside), rng, n_boot)
            withheld = {} if level.counted else dict.fromkeys(("n_members", "n_nonmembers"), WITHHELD)
            rows.append({"column": column, "level": level.name, **row, **withheld})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Level:
    """A group that may be shown, its records, shape (n,), and whether their number may be shown too."""

    name: str
    inside: BoolArray
    counted: bool = True


def shown_levels(levels: Sequence[str], member: BoolArray, group: NDArray[np.int64], least: int) -> list[Level]:
    """The groups with at least ``least`` patients on each side, by name, "other" last."""
    names = np.array(levels, dtype=object)
    sizes = {str(name): _smaller_side(names == name, member, group) for name in np.unique(names)}
    pooled = [name for name in sizes if sizes[name] < least]
    if pooled and OTHER in sizes and OTHER not in pooled:  # the data's own "other" cannot stand beside ours
        pooled.append(OTHER)
    shown = [Level(name, names == name) for name in sizes if name not in pooled]
    rest = np.isin(names, pooled)
    if pooled and _smaller_side(rest, member, group) >= least:
        return [*shown, Level(OTHER, rest)]
    if not pooled or not shown:
        return shown
    smallest = min(shown, key=lambda level: sizes[level.name])
    return [replace(level, counted=False) if level is smallest else level for level in shown]


def _smaller_side(inside: BoolArray, member: BoolArray, group: NDArray[np.int64]) -> int:
    """Patients on the smaller side of the split."""
    return min(np.unique(group[inside & side]).size for side in (member, ~member))


def _row(scores: FloatArray, data: AuditData, rng: np.random.Generator, n_boot: int) -> dict[str, Any]:
    assert data.member is not None
    found = ranking_bootstrap({TABLE: scores}, data.member, data.group, rng, n_boot=n_boot)[TABLE]
    return {
        "n_members": found.n_members,
        "n_nonmembers": found.n_nonmembers,
        "auc": found.auc.value,
        "auc_low": found.auc.low,
        "auc_high": found.auc.high,
        "tpr_at_1pct_fpr": found.tpr_at_1pct_fpr.value,
    }


def _auc(result: AttackResult) -> float:
    """The AUC of a result with scores; minus infinity without."""
    auc = result.estimates.get("auc")
    if result.status is not Status.OK or result.scores is None or auc is None or not auc.is_defined:
        return -np.inf
    return auc.value
