"""Paraphrases that the user brought along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.tally import Pair, Tally, log_yield


def ready_paraphrases(
    data: AuditData,
    columns: Sequence[Sequence[str]],
    options: ParaphraseOptions | None = None,
    *,
    enforce: bool = False,
) -> ParaphraseSet:
    """Paraphrases that the user brought along: rewrites of the responses (of the texts, for plain text).

    People's paraphrases are trusted: only empty and unchanged ones are left out. What the gate would have refused in
    the others is still counted, under "kept:<reason>", for the report. With ``enforce`` it is refused.

    Args:
        data: n records.
        columns: one or more columns of n rewrites each; missing values count as empty.
        options: bounds of the gate; ``engine``, ``count`` and ``rewrite`` do not apply.
        enforce: refuse whatever the gate refuses.

    Raises:
        DataError: when there is no column, or one of them has not n values.
    """
    if not columns:
        raise DataError("paraphrases: expected at least one column of rewrites, got none")
    for i, column in enumerate(columns):
        if len(column) != len(data):
            raise DataError(f"paraphrases: column {i} has {len(column)} values for {len(data)} records")
    gate = (options if options is not None else ParaphraseOptions()).gate()
    tally = Tally()
    for i in range(len(data)):
        pair = Pair(data.prompts[i], data.responses[i])
        tally.add(*_ready(pair, [column[i] for column in columns], gate, enforce))
    made = tally.as_set("ready")
    log_yield(made)
    return made


def _ready(
    pair: Pair, rewrites: Sequence[object], gate: FidelityGate, enforce: bool
) -> tuple[list[Pair], int, Counter[str]]:
    accepted: list[Pair] = []
    refusals: Counter[str] = Counter()
    for rewrite in rewrites:
        text = rewrite if isinstance(rewrite, str) else ""
        reason = gate.refusal(pair.response, text)
        if reason and (enforce or reason in ("empty", "unchanged")):
            refusals[reason] += 1
            continue
        if reason:
            refusals[f"kept:{reason}"] += 1
        accepted.append(Pair(pair.prompt, text))
    return accepted, len(rewrites), refusals
