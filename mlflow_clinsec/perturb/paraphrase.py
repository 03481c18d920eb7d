"""Paraphrases of the records under audit, made offline or brought along, each past the fidelity gate."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.perturb.engine import ENGINES, ParaphraseEngine, make_engine
from mlflow_clinsec.perturb.fidelity import FidelityGate

logger = logging.getLogger(__name__)

Rewrite = Literal["response", "prompt", "both"]

_ROUNDS = 3


class Pair(NamedTuple):
    """A record's prompt and response; plain text has an empty prompt."""

    prompt: str
    response: str


@dataclass(frozen=True)
class ParaphraseOptions:
    """How records are paraphrased.

    Attributes:
        engine: a key of ``engine.ENGINES``.
        count: accepted rewrites wanted per record, at least 1.
        rewrite: which part of a prompt and response pair is rewritten; of plain text it is always the text.
        min_change, max_change: share of words that a rewrite must and may change, in [0, 1].

    Raises:
        ConfigError: for values outside these.
    """

    engine: str = "rules"
    count: int = 3
    rewrite: Rewrite = "both"
    min_change: float = 0.05
    max_change: float = 0.9

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"paraphrase.count: expected at least 1, got {self.count}")
        if self.rewrite not in get_args(Rewrite):
            raise ConfigError(f"paraphrase.rewrite: expected one of {get_args(Rewrite)}, got {self.rewrite!r}")
        if self.engine not in ENGINES:
            make_engine(self.engine)
        self.gate()

    def gate(self) -> FidelityGate:
        """The gate with these bounds."""
        return FidelityGate(self.min_change, self.max_change)


@dataclass
class _Tally:
    """What becomes a ParaphraseSet, gathered record by record."""

    record: list[int] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, accepted: Sequence[Pair], tried: int, refusals: Counter[str]) -> None:
        """Take in the next record."""
        self.record += [len(self.tried)] * len(accepted)
        self.pairs += accepted
        self.tried.append(tried)
        self.accepted.append(len(accepted))
        self.refusals += refusals

    def as_set(self, engine: str) -> ParaphraseSet:
        """The finished set."""
        return ParaphraseSet(
            record=np.asarray(self.record, dtype=np.int64),
            prompts=tuple(pair.prompt for pair in self.pairs),
            responses=tuple(pair.response for pair in self.pairs),
            tried=np.asarray(self.tried, dtype=np.int64),
            accepted=np.asarray(self.accepted, dtype=np.int64),
            refusals=dict(sorted(self.refusals.items())),
            engine=engine,
        )


def paraphrase_records(
    data: AuditData,
    options: ParaphraseOptions,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
    engine: ParaphraseEngine | None = None,
) -> ParaphraseSet:
    """Rewrite every record up to ``options.count`` times.

    A record's rewrites depend on its own text and on the base seed drawn from ``rng``, never on its neighbours.

    Args:
        data: n records.
        options: engine, count and bounds.
        rng: one draw is taken from it.
        progress: called with 1 after each record.
        engine: used instead of ``options.engine`` when given.
    """
    writer = engine if engine is not None else make_engine(options.engine)
    base_seed = int(rng.integers(2**63))
    tally = _Tally()
    for prompt, response in zip(data.prompts, data.responses, strict=True):
        pair = Pair(prompt, response)
        tally.add(*_rewrites(pair, options, writer, record_rng(pair, base_seed)))
        if progress is not None:
            progress(1)
    made = tally.as_set(writer.name)
    _log_yield(made)
    return made


def record_rng(pair: Pair, base_seed: int) -> np.random.Generator:
    """A generator for one record, from its text and the base seed."""
    digest = hashlib.sha256(repr(tuple(pair)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([base_seed, int.from_bytes(digest[:16], "big")])


def _rewrites(
    pair: Pair, options: ParaphraseOptions, engine: ParaphraseEngine, rng: np.random.Generator
) -> tuple[list[Pair], int, Counter[str]]:
    """(accepted, number tried, refusals) of one record; further rounds are tried for what the gate refused."""
    gate = options.gate()
    accepted: list[Pair] = []
    refusals: Counter[str] = Counter()
    seen: set[Pair] = {pair}
    for _ in range(_ROUNDS):
        for candidate in _propose(pair, options.rewrite, options.count - len(accepted), engine, rng):
            if candidate in seen:
                continue
            seen.add(candidate)
            kept, reason = _judge(pair, candidate, gate)
            if reason:
                refusals[reason] += 1
            elif kept in accepted:
                seen.discard(candidate)
            else:
                accepted.append(kept)
        if len(accepted) == options.count:
            break
    return accepted, len(accepted) + refusals.total(), refusals


def _propose(
    pair: Pair, part: Rewrite, count: int, engine: ParaphraseEngine, rng: np.random.Generator
) -> Iterator[Pair]:
    """Pairs with the asked part rewritten; a part that cannot be rewritten stays as it is."""
    rewrite_prompt = bool(pair.prompt) and part in ("prompt", "both")
    rewrite_response = not pair.prompt or part in ("response", "both")
    prompts = engine.propose(pair.prompt, count, rng) if rewrite_prompt else []
    responses = engine.propose(pair.response, count, rng) if rewrite_response else []
    for i in range(max(len(prompts), len(responses))):
        yield Pair(
            prompts[i % len(prompts)] if prompts else pair.prompt,
            responses[i % len(responses)] if responses else pair.response,
        )


def _judge(pair: Pair, candidate: Pair, gate: FidelityGate) -> tuple[Pair, str]:
    """(pair to keep, "") or (candidate, reason). A part that changed too little goes back to the original."""
    response = _refusal(gate, pair.response, candidate.response)
    prompt = _refusal(gate, pair.prompt, candidate.prompt)
    for reason in (response, prompt):
        if reason not in ("", "unchanged"):
            return candidate, reason
    if response and prompt:
        return candidate, "unchanged"
    return Pair(pair.prompt if prompt else candidate.prompt, pair.response if response else candidate.response), ""


def _refusal(gate: FidelityGate, original: str, rewrite: str) -> str:
    return "unchanged" if rewrite == original else gate.refusal(original, rewrite)


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
        options: bounds on the change; ``engine``, ``count`` and ``rewrite`` do not apply.
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
    tally = _Tally()
    for i in range(len(data)):
        pair = Pair(data.prompts[i], data.responses[i])
        tally.add(*_ready(pair, [column[i] for column in columns], gate, enforce))
    made = tally.as_set("ready")
    _log_yield(made)
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


def _log_yield(made: ParaphraseSet) -> None:
    logger.info(
        "clinsec: paraphrases (%s): %d accepted of %d tried, %d of %d records without any",
        made.engine,
        int(made.accepted.sum()),
        int(made.tried.sum()),
        int((made.accepted == 0).sum()),
        made.accepted.size,
    )
