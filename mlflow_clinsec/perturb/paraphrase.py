"""Paraphrases of the records under audit, each past the fidelity gate, and kept for the next audit if asked to."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.perturb.cache import Entry, ParaphraseCache, entry_key
from mlflow_clinsec.perturb.engine import Helpers, ParaphraseEngine, make_engine
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions, Rewrite
from mlflow_clinsec.perturb.tally import Pair, Tally, log_yield

_ROUNDS = 3
_NO_HELPERS = Helpers()


def paraphrase_records(
    data: AuditData,
    options: ParaphraseOptions,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
    engine: ParaphraseEngine | None = None,
    helpers: Helpers = _NO_HELPERS,
) -> ParaphraseSet:
    """Rewrite every record up to ``options.count`` times.

    A record's rewrites depend on its own text and on the base seed drawn from ``rng``, never on its neighbours.

    Args:
        data: n records.
        options: engine, count and bounds.
        rng: one draw is taken from it.
        progress: called with 1 after each record.
        engine: used instead of ``options.engine`` when given.
        helpers: models and permissions that the engine may need.

    Raises:
        ConfigError: the engine lacks something, or the cache's folder cannot be used.
        EngineError: an endpoint gave up; what was made before is in the cache, where there is one.
    """
    writer = engine if engine is not None else make_engine(options, helpers)
    maker = _Maker(options, options.gate(), writer, int(rng.integers(2**63)))
    tally = Tally()
    with _cache_of(options) as cache:
        for prompt, response in zip(data.prompts, data.responses, strict=True):
            tally.add(*_kept_or_made(Pair(prompt, response), maker, cache))
            if progress is not None:
                progress(1)
    made = tally.as_set(writer.name)
    log_yield(made)
    return made


class _Maker(NamedTuple):
    """What the rewrites of a record depend on besides its text."""

    options: ParaphraseOptions
    gate: FidelityGate
    engine: ParaphraseEngine
    base_seed: int


def _cache_of(options: ParaphraseOptions) -> AbstractContextManager[ParaphraseCache | None]:
    """The cache that the options ask for; None where they ask for none."""
    return nullcontext() if options.cache is None else closing(ParaphraseCache(Path(options.cache).expanduser()))


def _kept_or_made(pair: Pair, maker: _Maker, cache: ParaphraseCache | None) -> tuple[Sequence[Pair], int, Counter[str]]:
    """(accepted, number tried, refusals) of one record, from the cache where it has them."""
    if cache is None:
        return _rewrites(pair, maker)
    engine = {"engine": maker.engine.name, "seed": maker.base_seed, **maker.engine.settings}
    key = entry_key(engine | maker.options.cache_settings(), pair.prompt, pair.response)
    kept = cache.get(key)
    if kept is not None:
        refusals = Counter(kept.refusals)
        return [Pair(*row) for row in kept.accepted], len(kept.accepted) + refusals.total(), refusals
    accepted, tried, refusals = _rewrites(pair, maker)
    cache.put(key, Entry(tuple(accepted), refusals))
    return accepted, tried, refusals


def record_rng(pair: Pair, base_seed: int) -> np.random.Generator:
    """A generator for one record, from its text and the base seed."""
    digest = hashlib.sha256(repr(tuple(pair)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([base_seed, int.from_bytes(digest[:16], "big")])


def _rewrites(pair: Pair, maker: _Maker) -> tuple[list[Pair], int, Counter[str]]:
    """(accepted, number tried, refusals) of one record; further rounds are tried for what the gate refused."""
    options, rng = maker.options, record_rng(pair, maker.base_seed)
    accepted: list[Pair] = []
    refusals: Counter[str] = Counter()
    seen: set[Pair] = set()
    for _ in range(_ROUNDS):
        for candidate in _propose(pair, options.rewrite, options.count - len(accepted), maker.engine, rng):
            if candidate in seen:
                continue
            seen.add(candidate)
            kept, reason = _judge(pair, candidate, maker.gate)
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
