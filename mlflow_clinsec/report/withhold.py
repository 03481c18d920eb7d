"""Rates that rest on fewer than ``min_cell`` records or patients are not shown: they give the hidden count away.

A share of 0.142857... is one of seven, and a Wilson interval tells its n. So where an estimate's n is small, or one
side of the split into members and non-members is, its value and interval are withheld with the reason, and with them
whatever else was computed on the same records: the cells of tables, plain values, and numbers in sentences.

The numerator of a rate over enough records is not hidden: that 3 of 40 records change their answer when a word is put
in says what the model does, and not that three patients have something in common.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.report.suppress import MIN_CELL, is_count, is_small, withheld
from mlflow_clinsec.results import AttackResult, AuditReport, Check, Estimate, Family, Verdict

_SIDES = ("members", "nonmembers", "member_patients", "nonmember_patients")
_DECIMAL = re.compile(r"\d+\.\d+")
_BY_TEST = "excess_by_test"


def withhold_small(report: AuditReport, min_cell: int = MIN_CELL) -> AuditReport:
    """A copy of the report without rates, intervals and cells that rest on too few."""
    small = _small_families(report.data_summary, min_cell)
    return replace(
        report,
        results=withhold_results(report.results, report.data_summary, min_cell),
        verdict=_verdict(report.verdict, min_cell, small),
        verdicts={family: _verdict(verdict, min_cell, small) for family, verdict in report.verdicts.items()},
    )


def withhold_results(
    results: Sequence[AttackResult], counts: Mapping[str, Any], min_cell: int
) -> tuple[AttackResult, ...]:
    """Results without what rests on too few; ``counts`` is the audit's ``data_summary``."""
    small = _small_families(counts, min_cell)
    return tuple(withhold_in(result, min_cell, small[result.family]) for result in results)


def _small_families(counts: Mapping[str, Any], min_cell: int) -> Mapping[Family, bool]:
    """Whether a family rests on too few as a whole: membership does where one side of the split is small."""
    few_on_a_side = any(is_small(counts.get(side, 0), min_cell) for side in _SIDES)
    return {Family.PRIVACY: few_on_a_side, Family.BACKDOOR: False}


def shown_estimate(estimate: Estimate, min_cell: int, small: bool = False) -> Estimate:
    """The estimate, or an undefined one where it rests on too few; ``small`` says that it does whatever its n."""
    if not (small or is_small(estimate.n, min_cell)) or not estimate.is_defined:
        return estimate
    return Estimate.undefined(withheld(min_cell), 0 if small else estimate.n)


def withhold_in(result: AttackResult, min_cell: int, small: bool = False) -> AttackResult:
    """One result without what rests on too few."""
    estimates = {name: shown_estimate(e, min_cell, small) for name, e in result.estimates.items()}
    hidden = {name for name, e in result.estimates.items() if estimates[name] is not e}
    groups = {_group(name) for name in hidden}
    values = {n: v for n, v in result.values.items() if _group(n) not in groups or (is_count(n) and not small)}
    lost = {name: result.estimates[name] for name in hidden}
    tables = {n: _shown_table(t, lost, min_cell, small) for n, t in result.tables.items()}
    details = _shown_details(result.details, min_cell, hidden, small)
    return replace(result, estimates=estimates, values=values, tables=tables, details=details)


def _group(name: str) -> str:
    return name.rpartition("/")[0]


def _shown_table(table: pd.DataFrame, lost: Mapping[str, Estimate], min_cell: int, small: bool) -> pd.DataFrame:
    """Fractions of rows that rest on too few become NaN, and so do cells that repeat a withheld estimate."""
    rates = [c for c in table.columns if pd.api.types.is_float_dtype(table[c]) and not is_count(str(c))]
    counts = [c for c in table.columns if is_count(str(c))]
    if not rates:
        return table
    rows = table[counts].to_numpy(object)
    few = np.array([small or any(is_small(n, min_cell) for n in row) for row in rows], dtype=np.bool_)
    shown = table.copy()
    for column in rates:
        repeated = table[column].isin(_numbers_of(lost, str(column))).to_numpy()
        shown.loc[few | repeated, column] = np.nan
    return shown


def _numbers_of(lost: Mapping[str, Estimate], column: str) -> set[float]:
    """Values and bounds of withheld estimates that a column of this name may repeat."""
    found: set[float] = set()
    for name, estimate in lost.items():
        metric = name.rpartition("/")[2]
        named = {metric: estimate.value, f"{metric}_low": estimate.low, f"{metric}_high": estimate.high}
        found |= {named[column]} if column in named else set()
    return found


def _shown_details(details: Mapping[str, Any], min_cell: int, hidden: set[str], small: bool) -> dict[str, Any]:
    """Without the fractions of tests on too few records; a privacy attack with a small side keeps no detail at all."""
    if small and hidden:
        return {}
    tests = details.get(_BY_TEST)
    if not isinstance(tests, Mapping):
        return dict(details)
    return {**details, _BY_TEST: {key: _shown_test(test, min_cell) for key, test in tests.items()}}


def _shown_test(test: Mapping[str, float], min_cell: int) -> Mapping[str, float]:
    if not any(is_count(name) and is_small(number, min_cell) for name, number in test.items()):
        return test
    return {name: number if is_count(name) else float("nan") for name, number in test.items()}


def _verdict(verdict: Verdict, min_cell: int, small: Mapping[Family, bool]) -> Verdict:
    checks = tuple(_check(check, min_cell, small[check.family]) for check in verdict.checks)
    if not any(small.values()) and checks == verdict.checks:
        return verdict
    notes = tuple(_DECIMAL.sub("withheld", note) for note in verdict.notes)
    finding = verdict.finding and replace(verdict.finding, reason=_DECIMAL.sub("withheld", verdict.finding.reason))
    return replace(verdict, checks=checks, notes=notes, finding=finding)


def _check(check: Check, min_cell: int, small: bool) -> Check:
    estimate = shown_estimate(check.estimate, min_cell, small)
    if estimate is check.estimate:
        return check
    return replace(check, estimate=estimate, explanation=f"The number is {withheld(min_cell)}.")
