"""Scores of one batch of records by every attack that needs nothing but them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.attack import Attack, describe_error, obstacle
from mlflow_clinsec.audit import derived_generator
from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine.division import COMBINED, run_on_numbers, scored_with_text
from mlflow_clinsec.engine.rows import (
    LABEL,
    LOSS,
    PROBABILITIES,
    REFERENCE_LOSS,
    REFERENCE_PROBABILITIES,
    SCORE,
    TABLE,
    Reason,
    Rows,
)
from mlflow_clinsec.errors import ClinSecError, NotApplicableError
from mlflow_clinsec.perturb.engine import Helpers
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.privacy.confidence import label_columns
from mlflow_clinsec.privacy.token_view import reference_losses, references_stats, target_stats
from mlflow_clinsec.results import Status
from mlflow_clinsec.targets.protocols import Target

Array = NDArray[Any]


def score_batch(data: AuditData, target: Target, attacks: Sequence[Attack], config: AuditConfig) -> Rows:
    """Scores and other numbers of the records, with a reason for each attack that cannot be run on them.

    A batch gets the generators that an audit of all records gets, so that rewrites are the same.
    """
    chosen = scored_with_text(attacks)
    able = [attack for attack in chosen if not obstacle(replace(attack, needs=()), data, target)]
    names = {attack.name for attack in run_on_numbers(attacks)}
    if any("paraphrases" in attack.needs for attack in able):
        data = replace(data, paraphrases=_rewritten(data, target, config))
    _read_records(able, data, target)
    columns: dict[str, Array] = {}
    reasons: dict[str, Reason] = {}
    for attack in able:
        found = _scored(attack, data, target, config.seed)
        if isinstance(found, tuple):
            reasons[attack.name] = found
        else:
            columns[SCORE + attack.name] = found
    if "combiner" in names and target.scorer is not None:
        columns[TABLE] = _table(data, target, config.seed)
    columns |= dict(_losses(data, target, names))
    return Rows(columns | dict(_probabilities(data, target, names)), reasons)


def _read_records(attacks: Sequence[Attack], data: AuditData, target: Target) -> None:
    """Run the records by themselves first: what else an attack scores must not choose their batch-mates, on which the
    last bits of their numbers depend."""
    roles = {role for attack in attacks for role in attack.requires}
    if "scorer" in roles and target.scorer is not None:
        target.scorer.token_stats(data.prompts, data.responses)
    for reference in target.references if "reference" in roles else ():
        reference.token_stats(data.prompts, data.responses)


def _rewritten(data: AuditData, target: Target, config: AuditConfig) -> Any:
    assert config.privacy is not None
    helpers = Helpers(target.infiller, target.rewriter, config.allow_egress)
    rng = derived_generator(config.seed, "paraphrase")
    return paraphrase_records(data, config.privacy.paraphrase, rng, helpers=helpers)


def _scored(attack: Attack, data: AuditData, target: Target, seed: int) -> Array | Reason:
    """The attack's scores, or the status and the reason for which there are none."""
    if reason := obstacle(attack, data, target):
        return Status.SKIPPED.value, reason
    assert attack.score is not None  # all of RECORD, and the combiner's columns
    try:
        found = attack.score(data, target, attack.options, derived_generator(seed, attack.name))
        return np.asarray(found, dtype=np.float64)  # whole numbers in one batch must not make the next ones whole
    except NotApplicableError as error:
        return Status.SKIPPED.value, str(error)
    except ClinSecError as error:
        return Status.FAILED.value, str(error)
    except Exception as error:  # a broken model must not lose the other attacks' scores
        return Status.FAILED.value, describe_error(error)


def _table(data: AuditData, target: Target, seed: int) -> NDArray[np.float64]:
    """The combiner's columns, shape (n_records, n_columns); NaN where a column cannot be had."""
    columns = []
    for attack, score, options in COMBINED:
        found = _scored(replace(attack, score=score, options=options), data, target, seed)
        columns.append(np.full(len(data), np.nan) if isinstance(found, tuple) else found)
    return np.column_stack(columns)


def _losses(data: AuditData, target: Target, names: set[str]) -> Iterator[tuple[str, Array]]:
    """Loss of each record under the target and its references, in nats per token of the target."""
    if target.scorer is None or not target.references or not names & {"lira", "rmia"}:
        return
    stats = target_stats(data, target)
    yield LOSS, stats.nll()
    yield REFERENCE_LOSS, reference_losses(stats, references_stats(data, target)).T


def _probabilities(data: AuditData, target: Target, names: set[str]) -> Iterator[tuple[str, Array]]:
    """Class probabilities under the target and its references, and the true label's place among them."""
    if target.label_scorer is None or not names - {"combiner", "lira", "rmia"}:
        return
    yield PROBABILITIES, target.label_scorer.predict_proba(data.texts)
    if data.labels is not None:
        yield LABEL, label_columns(data, target)
    if names & {"lira_classifier", "rmia_classifier"} and target.label_references:
        tables = [reference.predict_proba(data.texts) for reference in target.label_references]
        yield REFERENCE_PROBABILITIES, np.stack(tables, axis=1)
