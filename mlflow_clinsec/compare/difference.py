"""What changed from one audit to another: figures first, those whose intervals lie apart above all.

Two 95% intervals that lie apart are stronger evidence than p < 0.05 for independent samples; intervals that overlap do
not show that nothing changed. Two audits on the same records are paired, which makes the rule more careful still. No
correction is made for comparing many figures: of a hundred, a few may lie apart by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlflow_clinsec.compare.audits import Audit, Limit
from mlflow_clinsec.report.titles import figure_title, title_of_test
from mlflow_clinsec.report.verdict_words import limit_title
from mlflow_clinsec.report.wording import visible, words
from mlflow_clinsec.results import Estimate

ABSENT = "not there"


@dataclass(frozen=True)
class Moved:
    """A figure that both audits hold.

    Attributes:
        apart: whether the intervals do not overlap; False where a bound is unknown.
    """

    name: str
    before: Estimate
    after: Estimate
    apart: bool

    @property
    def title(self) -> str:
        """In words."""
        return figure_title(self.name)

    @property
    def headline(self) -> bool:
        """Whether it is one of the few figures by which runs are sorted, such as ``privacy/worst_auc``."""
        return self.name.count("/") == 1

    @property
    def change(self) -> float:
        """After less before."""
        return self.after.value - self.before.value


@dataclass(frozen=True)
class Changed:
    """A setting, parameter, version, count, check or test that is not the same.

    Attributes:
        title: in words; "" where the name is the user's own.
    """

    name: str
    before: str
    after: str
    title: str = ""


@dataclass(frozen=True)
class Difference:
    """What changed from ``before`` to ``after``.

    Attributes:
        moved: figures that differ: intervals apart first, of these the headlines, then by the size of the change.
        same: how many figures are equal to the last digit.
        checks: policy checks that either audit made.
        unlike: "Settings", "Data", "Parameters", "Tags", "Versions", "Tests" -> what differs; without the empty ones.
    """

    before: Audit
    after: Audit
    moved: tuple[Moved, ...]
    same: int
    checks: tuple[Changed, ...]
    unlike: Mapping[str, tuple[Changed, ...]]


def difference(before: Audit, after: Audit) -> Difference:
    """Compare two audits."""
    pairs = [
        Moved(name, one, after.figures[name], _apart(one, after.figures[name]))
        for name, one in before.figures.items()
        if name in after.figures and one.is_defined and after.figures[name].is_defined
    ]
    moved = [pair for pair in pairs if pair.change]
    unlike = {
        "Settings": _changed(before.settings, after.settings),
        "Data": _changed(_data(before), _data(after), _data_title),
        "Tests": _changed(before.status, after.status, title_of_test),
        "Parameters": _changed(before.run.params, after.run.params),
        "Tags": _changed(before.run.tags, after.run.tags),
        "Versions": _changed(before.versions, after.versions),
    }
    return Difference(
        before=before,
        after=after,
        moved=tuple(sorted(moved, key=lambda pair: (not pair.apart, not pair.headline, -abs(pair.change), pair.name))),
        same=len(pairs) - len(moved),
        checks=_checks(before, after),
        unlike={title: found for title, found in unlike.items() if found},
    )


def _apart(before: Estimate, after: Estimate) -> bool:
    bounds = (before.low, before.high, after.low, after.high)
    return not any(map(math.isnan, bounds)) and (before.high < after.low or after.high < before.low)


def _changed(
    before: Mapping[str, str], after: Mapping[str, str], title: Callable[[str], str] = lambda name: ""
) -> tuple[Changed, ...]:
    names = dict.fromkeys([*before, *after])
    pairs = (Changed(name, before.get(name, ABSENT), after.get(name, ABSENT), title(name)) for name in names)
    return tuple(pair for pair in pairs if pair.before != pair.after)


def _data(audit: Audit) -> dict[str, str]:
    return {"data set": ", ".join(audit.run.data) or "not named", **audit.counts}


def _data_title(name: str) -> str:
    return words(visible(name)).replace(".", ": ").capitalize()


def _checks(before: Audit, after: Audit) -> tuple[Changed, ...]:
    """Every policy check by key: the decision in each audit, and by what limit."""
    first, second = ({limit.key: _said(limit) for limit in audit.limits} for audit in (before, after))
    titles = {limit.key: limit_title(limit.key, limit.subject) for audit in (before, after) for limit in audit.limits}
    return tuple(
        Changed(key, first.get(key, "not checked"), second.get(key, "not checked"), title)
        for key, title in titles.items()
    )


def _said(limit: Limit) -> str:
    why = "" if limit.estimate.is_defined else f": {limit.estimate.reason or 'it could not be computed'}"
    return f"{limit.decision.value} at a {'lower ' * (limit.bound == 'min')}limit of {limit.threshold:.3g}{why}"
