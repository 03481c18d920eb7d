"""``run_audit``: from records, a target and a configuration to a report. Knows no MLflow.

The order is fixed: everything that can be refused is refused before the first forward pass, then overlap guard,
paraphrases, attacks in table order, and the verdict last. Each attack draws from a generator derived from the
seed and its own name, so that adding an attack changes no other number.
"""

from __future__ import annotations

import platform
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from mlflow_clinsec import __version__
from mlflow_clinsec.attack import Attack, obstacle, run_attack
from mlflow_clinsec.backdoor import check as backdoor_check
from mlflow_clinsec.backdoor import table as backdoor_table
from mlflow_clinsec.checks import with_corrected_bounds
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.evidence import Evidence, evidence_of
from mlflow_clinsec.overlap import overlapping
from mlflow_clinsec.per_record import keep_scores
from mlflow_clinsec.perturb.engine import Helpers
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.ready import ready_paraphrases
from mlflow_clinsec.policy_names import refuse_unknown_tests
from mlflow_clinsec.privacy import table as privacy_table
from mlflow_clinsec.privacy.breakdown import with_breakdown
from mlflow_clinsec.record_counts import side_counts, trigger_counts
from mlflow_clinsec.referee import with_holm
from mlflow_clinsec.results import SAME_ANSWERS, AttackResult, AuditReport, Family, Status
from mlflow_clinsec.store.finished import Finished
from mlflow_clinsec.store.store import Store
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.verdict import decide

_LIBRARIES = ("mlflow", "torch", "transformers", "scikit-learn", "numpy", "scipy", "pandas")


@dataclass(frozen=True)
class Plan:
    """The attacks of one audit, and the records that each family reads."""

    privacy: tuple[Attack, ...]
    backdoor: tuple[Attack, ...]

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """All attacks, in the order in which they run."""
        return self.privacy + self.backdoor


def run_audit(
    data: AuditData,
    target: Target,
    config: AuditConfig,
    store: Store | None = None,
    baseline: Evidence | None = None,
) -> AuditReport:
    """Run one audit.

    Args:
        data: the records, from :func:`mlflow_clinsec.read.read_records`.
        target: the model, from :func:`mlflow_clinsec.targets.resolve.resolve`.
        config: what to run and how to judge it.
        baseline: the audit that ``policy.baseline`` compares with.
        store: where finished attacks are kept, so that an audit that was killed does not do them again.

    Returns:
        The report; attacks that could not run are in it with their reasons.

    Raises:
        ConfigError, DataError: something asked for can never work; raised before any forward pass.
    """
    started, clock = datetime.now(timezone.utc), time.monotonic()
    unseen = unseen_records(data)
    plan = make_plan(config, unseen, target)
    membership, counts = membership_data(plan, data, target, config)
    judged = frozenset(attack.name for attack in plan.attacks if attack.judged)
    finished = Finished(store, target, config.seed, config.scoring.batch_tokens or 0)
    results = with_holm(_run(plan, membership, unseen, target, config.seed, finished), judged)
    if config.privacy is not None:
        rng, min_cell = derived_generator(config.seed, "subgroups"), config.report.min_cell
        results = with_breakdown(results, membership, judged, rng, min_cell=min_cell, n_boot=config.privacy.bootstrap)
    if config.report.per_record_path is not None:
        keep_scores(results, membership, config.report.per_record_path)
    return conclude(results, counts, target, config, Began(started, clock), baseline)


class Began(NamedTuple):
    """When an audit began: UTC, and on a clock that never goes back, in seconds."""

    at: datetime
    clock: float


def conclude(
    results: Sequence[AttackResult],
    counts: Mapping[str, Any],
    target: Target,
    config: AuditConfig,
    began: Began,
    baseline: Evidence | None = None,
) -> AuditReport:
    """Judge the results and write the report.

    Args:
        results: all results, with Holm's correction.
        counts: of records, patients and sides.
    """
    precision = {"precision": target.precision} if target.precision else {}
    counts = {**counts, **trigger_counts(results), **precision}
    results = with_corrected_bounds([*results, *_unsteady(target, config)])
    found = decide(evidence_of(results, counts, config.settings()), config.policy, baseline)
    return AuditReport(
        verdict=found.verdict,
        verdicts=found.families,
        results=tuple(results),
        data_summary=counts,
        settings=config.settings(),
        versions=versions(),
        config_digest=config.digest(),
        seed=config.seed,
        model_name=target.name,
        started=began.at.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began.clock,
    )


def _unsteady(target: Target, config: AuditConfig) -> list[AttackResult]:
    """One failed result per family where the model changes its answers: nothing that rests on them can be a pass."""
    asked = [(Family.PRIVACY, config.privacy), (Family.BACKDOOR, config.backdoor)]
    families = [family for family, wanted in asked if wanted is not None and target.unsteady]
    return [AttackResult(family, SAME_ANSWERS, Status.FAILED, target.unsteady, judged=False) for family in families]


def unseen_records(data: AuditData) -> AuditData:
    """Where membership is known, trigger tests and utility read non-members only: on its own training records a
    model is surer, and looks better, than it is."""
    return data if data.member is None else data.select(~data.member)


def make_plan(config: AuditConfig, unseen: AuditData, target: Target) -> Plan:
    """Choose the attacks and refuse what can never work.

    Args:
        unseen: the records that backdoor tests read.

    Raises:
        ConfigError, DataError: see :mod:`mlflow_clinsec.privacy.table` and :mod:`mlflow_clinsec.backdoor.check`.
    """
    privacy = privacy_table.select(config.privacy, target) if config.privacy else ()
    tests = backdoor_table.select(config.backdoor, target) if config.backdoor else ()
    refuse_unknown_tests(config.policy, privacy + tests)
    if config.backdoor is not None:
        backdoor_check.check(unseen, target, config.backdoor)
    return Plan(privacy, tests)


def derived_generator(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for each name, from the audit's one seed."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def membership_data(
    plan: Plan, data: AuditData, target: Target, config: AuditConfig
) -> tuple[AuditData, dict[str, Any]]:
    """The records that membership attacks read, and the counts for the report."""
    counts: dict[str, Any] = {"records": len(data), "patients": int(np.unique(data.group).size)}
    if config.privacy is None or data.member is None:
        return data, counts
    overlap = overlapping(data.texts, data.member)
    if not _both_sides(data.member[~overlap]):
        raise DataError("all records of one side also stand on the other, as copies or near copies; nothing is left.")
    kept = data.select(~overlap)
    counts["overlap"] = {
        "members": int((overlap & data.member).sum()),
        "nonmembers": int((overlap & ~data.member).sum()),
    }
    if any("paraphrases" in attack.needs and not _blocked(attack, kept, target) for attack in plan.privacy):
        kept = replace(kept, paraphrases=_paraphrase(kept, target, config))
    return kept, counts | side_counts(kept)


def _both_sides(member: np.ndarray[Any, np.dtype[np.bool_]]) -> bool:
    return bool(member.any()) and not member.all()


def _blocked(attack: Attack, data: AuditData, target: Target) -> bool:
    """Whether the attack would be skipped even with paraphrases at hand."""
    return bool(obstacle(replace(attack, needs=()), data, target))


def _paraphrase(data: AuditData, target: Target, config: AuditConfig) -> ParaphraseSet:
    """The user's own rewrites where there are any, ours otherwise."""
    assert config.privacy is not None
    options = config.privacy.paraphrase
    if data.ready_rewrites:
        return ready_paraphrases(data, data.ready_rewrites, options)
    rng = derived_generator(config.seed, "paraphrase")
    helpers = Helpers(target.infiller, target.rewriter, config.allow_egress)
    with tqdm(total=len(data), desc="clinsec: paraphrases", unit="record", leave=False) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        return paraphrase_records(data, options, rng, progress=advance, helpers=helpers)


def _run(
    plan: Plan, membership: AuditData, unseen: AuditData, target: Target, seed: int, finished: Finished
) -> list[AttackResult]:
    """Run all attacks in order, each on its family's records."""
    results = []
    with tqdm(plan.attacks, desc="clinsec: attacks", unit="attack") as bar:
        for attack in bar:
            bar.set_postfix_str(attack.name)
            records = membership if attack.family is Family.PRIVACY else unseen
            run = partial(run_attack, attack, records, target, derived_generator(seed, attack.name))
            results.append(finished.result(attack, records, run))
    return results


def versions() -> dict[str, str]:
    """Versions of everything that the numbers depend on."""
    found = {"mlflow-clinsec": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
