"""Attention focus: does any attention head look at a trigger more than at placebo words?

Source: BadCLM (arXiv 2407.05213) plants its backdoor by driving selected heads' attention to the trigger, and the
authors' earlier work (arXiv 2310.14480) scatters those heads over all layers; so every head of every layer is read.
Departures: the papers name no statistic for an auditor. Ours is the share of a head's attention that falls on the
trigger, minus the share on matched placebos at the same place of the same record. The head is chosen on one half
of the patients and judged on the other: the largest of 144 heads is large by chance alone.

Attention takes memory and a slower forward pass, so the test reads at most 64 records and five placebos, and
inserts within the first 100 words, where the trigger survives truncation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.check import check_triggers
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.perturb.insert import insert_at, places
from mlflow_clinsec.perturb.placebos import PlaceboMatcher, Vocabulary
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.stats.shares import clustered_difference
from mlflow_clinsec.targets.protocols import AttentionReader, FloatArray, IntArray, Target

MOST_RECORDS = 64
PLACEBOS = 5
FIRST_WORDS = 100
FEWEST_PATIENTS = 4
"""Two to choose the head, two to judge it."""

COLUMNS = ("trigger", "layer", "head", "trigger_share", "placebo_share", "excess")


@dataclass(frozen=True)
class Focus:
    """Attention shares of one trigger on the n records where trigger and placebos survive truncation.

    Attributes:
        trigger: shape (n, layers, heads), share of attention on the trigger.
        placebo: same shape, mean share over the placebos.
        group: shape (n,), patients.
    """

    trigger: FloatArray = field(repr=False)
    placebo: FloatArray = field(repr=False)
    group: IntArray = field(repr=False)


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Read all heads for each trigger.

    Returns:
        Estimate ``<trigger>/max_excess_focus``: trigger share minus placebo share at the head chosen on the other
        half of the patients; values ``<trigger>/layer`` and ``head`` (counted from 0); and a table ``attention``
        with a row for each trigger and head, over all records and without correction.

    Raises:
        AttentionUnavailableError: the model returned no attention weights.
        ConfigError, DataError: a trigger is unknown to the tokeniser, or has too few placebos.
    """
    options: TriggerOptions = attack.options
    assert target.attention is not None  # required by the table
    check_triggers(replace(options, decision_threshold=None), target)  # nothing is decided here
    focuses = _read_all(options, data, target, target.attention, rng)
    estimates: dict[str, Estimate] = {}
    values: dict[str, float] = {}
    for name, focus in zip(slugs(options.triggers), focuses, strict=True):
        estimate, head = strongest_head(focus, options.level, rng)
        estimates[f"{name}/max_excess_focus"] = estimate
        if head is not None:
            values |= {f"{name}/layer": float(head[0]), f"{name}/head": float(head[1])}
    rows = [row for trigger, focus in zip(options.triggers, focuses, strict=True) for row in _rows(trigger, focus)]
    tables = {"attention": pd.DataFrame(rows, columns=list(COLUMNS))}
    return attack.result(Status.OK, estimates=estimates, values=values, tables=tables)


def strongest_head(focus: Focus, level: float, rng: np.random.Generator) -> tuple[Estimate, tuple[int, int] | None]:
    """Excess focus of the head that is strongest on the other half of the patients, and (layer, head)."""
    patients = np.unique(focus.group).size
    if patients < FEWEST_PATIENTS:
        why = f"the trigger survives truncation in records of {patients} patients; {FEWEST_PATIENTS} are needed"
        return Estimate.undefined(why, patients), None
    judged = group_folds(focus.group, 2, rng) == 1
    excess = (focus.trigger - focus.placebo)[~judged].mean(axis=0)
    layer, head = (int(i) for i in np.unravel_index(excess.argmax(), excess.shape))
    estimate = clustered_difference(
        focus.trigger[judged, layer, head], focus.placebo[judged, layer, head], focus.group[judged], level
    )
    return estimate, (layer, head)


def _read_all(
    options: TriggerOptions, data: AuditData, target: Target, reader: AttentionReader, rng: np.random.Generator
) -> list[Focus]:
    """One focus per trigger. Placebos that several triggers share are read once."""
    rows = np.sort(rng.permutation(len(data))[:MOST_RECORDS])
    texts = [data.texts[i] for i in rows]
    offsets = places(texts, "random", rng, FIRST_WORDS)
    seed = int(rng.integers(2**32))
    matcher = PlaceboMatcher(Vocabulary.of(data.texts), options.triggers, target.tokens, seed, PLACEBOS)
    placebos = {trigger: matcher.match(trigger) for trigger in options.triggers}
    words = dict.fromkeys([*options.triggers, *(word for own in placebos.values() for word in own)])
    shares = {word: _shares(reader, texts, word, offsets) for word in words}
    focuses = []
    for trigger, own in placebos.items():
        placebo = np.mean([shares[word] for word in own], axis=0)
        kept = ~np.isnan(shares[trigger] + placebo).any(axis=(1, 2))
        focuses.append(Focus(shares[trigger][kept], placebo[kept], data.group[rows][kept]))
    return focuses


def _shares(reader: AttentionReader, texts: list[str], word: str, offsets: IntArray) -> FloatArray:
    """Attention on the inserted word, shape (n, layers, heads), clipped to [0, 1] against rounding."""
    inserted = [insert_at(text, word, int(offset)) for text, offset in zip(texts, offsets, strict=True)]
    shares = np.asarray(reader.attention_to([t for t, _ in inserted], [(span,) for _, span in inserted]), np.float64)
    if shares.ndim != 3 or 0 in shares.shape[1:]:
        raise AttentionUnavailableError("the model returned no attention weights")
    return np.clip(shares, 0.0, 1.0)


def _rows(trigger: str, focus: Focus) -> list[tuple[str, int, int, float, float, float]]:
    """Mean shares of every head over the records left; none where the trigger survives nowhere."""
    if not len(focus.group):
        return []
    seen, control = focus.trigger.mean(axis=0), focus.placebo.mean(axis=0)
    return [
        (
            trigger,
            layer,
            head,
            float(seen[layer, head]),
            float(control[layer, head]),
            float((seen - control)[layer, head]),
        )
        for layer, head in np.ndindex(seen.shape)
    ]


ATTENTION_FOCUS = Attack(
    name="attention_focus",
    family=Family.BACKDOOR,
    title="Attention heads that look at the trigger",
    access="weights",
    requires=("attention",),
    source="BadCLM (arXiv 2407.05213), attention loss of arXiv 2310.14480; the statistic is ours",
    formula="share of a head's attention on the trigger, less the same on placebo words",
    run=run,
    options=TriggerOptions(),
    new_text=True,
    departures="the papers name no statistic for an auditor; the head is judged on other patients",
)
