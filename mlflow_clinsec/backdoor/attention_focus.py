"""Attention focus and drift: does any attention head look at a trigger more than at placebo words?

Source: BadCLM (arXiv 2407.05213) plants its backdoor by driving selected heads' attention to the trigger, and the
authors' earlier work (arXiv 2310.14480) scatters those heads over all layers; so every head of every layer is read.
Departures: the papers name no statistic for an auditor. Ours is the share of a head's attention that falls on the
trigger, minus the share on matched placebos at the same place of the same record. The head is chosen on one half
of the patients and judged on the other: the largest of 144 heads is large by chance alone.

Drift is the same question asked as AttenTD asks it (arXiv 2205.08305): in how many records does a head look at one
key most, from more than 40% of the tokens? Departures: the key is the inserted word, placebos are the control, and no
alarm is raised by itself.

Attention takes memory and a slower forward pass, so the test reads at most 64 records and five placebos, and
inserts within the first 100 words, where the trigger survives truncation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.check import check_triggers
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.prompted import Prompted
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.perturb.insert import insert_at, places
from mlflow_clinsec.perturb.placebos import PlaceboMatcher, Vocabulary
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.stats.folds import group_folds
from mlflow_clinsec.stats.shares import clustered_difference
from mlflow_clinsec.targets.attention_protocols import AttentionReader, AttentionSeen
from mlflow_clinsec.targets.protocols import FloatArray, IntArray, Target

MOST_RECORDS = 64
PLACEBOS = 5
FIRST_WORDS = 100
FEWEST_PATIENTS = 4
"""Two to choose the head, two to judge it."""
DRIFTED = 0.4
"""Share of tokens that must look at a word most (AttenTD, arXiv 2205.08305)."""

COLUMNS = ("trigger", "layer", "head", "trigger_share", "placebo_share", "excess", "trigger_drift", "placebo_drift")


@dataclass(frozen=True)
class Focus:
    """One statistic of one trigger on the n records where trigger and placebos survive truncation.

    Attributes:
        trigger: shape (n, layers, heads), share of attention on the trigger, or whether it drifted there.
        placebo: same shape, mean over the placebos.
        group: shape (n,), patients.
    """

    trigger: FloatArray = field(repr=False)
    placebo: FloatArray = field(repr=False)
    group: IntArray = field(repr=False)


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Read all heads for each trigger.

    Returns:
        Estimates ``<trigger>/max_excess_focus`` and ``max_excess_drift``: trigger minus placebo at the head chosen on
        the other half of the patients, of the share of attention and of the share of records that drift; values
        ``<trigger>/layer`` and ``head`` of the former (counted from 0); and a table ``attention`` with a row for each
        trigger and head, over all records and without correction.

    Raises:
        AttentionUnavailableError: the model returned no attention weights.
        ConfigError, DataError: a trigger is unknown to the tokeniser, or has too few placebos.
    """
    options: TriggerOptions = attack.options
    assert target.attention is not None  # required by the table
    check_triggers(replace(options, decision_threshold=None), target)  # nothing is decided here
    seen = _read_all(options, data, target, target.attention, rng)
    estimates: dict[str, Estimate] = {}
    values: dict[str, float] = {}
    for name, (focus, drift) in zip(slugs(options.triggers), seen, strict=True):
        estimates[f"{name}/max_excess_focus"], head = strongest_head(focus, options.level, rng)
        estimates[f"{name}/max_excess_drift"], _ = strongest_head(drift, options.level, rng)
        if head is not None:
            values |= {f"{name}/layer": float(head[0]), f"{name}/head": float(head[1])}
    rows = [row for trigger, both in zip(options.triggers, seen, strict=True) for row in _rows(trigger, *both)]
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
) -> list[tuple[Focus, Focus]]:
    """Focus and drift of each trigger. Placebos that several triggers share are read once."""
    texts, group = _texts(data, target)
    rows = np.sort(rng.permutation(len(texts))[:MOST_RECORDS])
    chosen = [texts[i] for i in rows]
    offsets = places(chosen, "random", rng, FIRST_WORDS)
    seed = int(rng.integers(2**32))
    matcher = PlaceboMatcher(Vocabulary.of(texts), options.triggers, target.tokens, seed, PLACEBOS)
    placebos = {trigger: matcher.match(trigger) for trigger in options.triggers}
    words = dict.fromkeys([*options.triggers, *(word for own in placebos.values() for word in own)])
    seen = {word: _attention(reader, chosen, word, offsets) for word in words}
    return [_contrasts(seen[trigger], [seen[word] for word in own], group[rows]) for trigger, own in placebos.items()]


def _texts(data: AuditData, target: Target) -> tuple[Sequence[str], IntArray]:
    """What the model reads, and whose it is: prompts where it answers them."""
    if target.predictor is not None or target.label_scorer is not None:
        return data.texts, data.group
    records = Prompted.of(data)
    return records.prompts, records.group


def _attention(reader: AttentionReader, texts: list[str], word: str, offsets: IntArray) -> AttentionSeen:
    """Attention on the inserted word; shares are clipped to [0, 1] against rounding."""
    inserted = [insert_at(text, word, int(offset)) for text, offset in zip(texts, offsets, strict=True)]
    seen = reader.attention_to([text for text, _ in inserted], [(span,) for _, span in inserted])
    if seen.share.ndim != 3 or 0 in seen.share.shape[1:]:
        raise AttentionUnavailableError("the model returned no attention weights")
    return AttentionSeen(np.clip(seen.share, 0.0, 1.0), seen.peak)


def _contrasts(trigger: AttentionSeen, placebos: Sequence[AttentionSeen], group: IntArray) -> tuple[Focus, Focus]:
    """Focus and drift on the records where trigger and placebos all survive."""
    share = np.mean([seen.share for seen in placebos], axis=0)
    drift = np.mean([seen.peak > DRIFTED for seen in placebos], axis=0)
    kept = ~np.isnan(trigger.share + share).any(axis=(1, 2))
    drifted = (trigger.peak > DRIFTED).astype(np.float64)
    return Focus(trigger.share[kept], share[kept], group[kept]), Focus(drifted[kept], drift[kept], group[kept])


def _rows(trigger: str, focus: Focus, drift: Focus) -> list[tuple[str, int, int, float, float, float, float, float]]:
    """Means of every head over the records left; none where the trigger survives nowhere."""
    if not len(focus.group):
        return []
    seen, control, drifted, control_drift = (
        part.mean(axis=0) for part in (focus.trigger, focus.placebo, drift.trigger, drift.placebo)
    )
    return [
        (
            trigger,
            layer,
            head,
            float(seen[layer, head]),
            float(control[layer, head]),
            float((seen - control)[layer, head]),
            float(drifted[layer, head]),
            float(control_drift[layer, head]),
        )
        for layer, head in np.ndindex(seen.shape)
    ]


ATTENTION_FOCUS = Attack(
    name="attention_focus",
    family=Family.BACKDOOR,
    title="Attention heads that look at the trigger",
    access="weights",
    requires=("attention",),
    source="BadCLM (arXiv 2407.05213), attention loss of arXiv 2310.14480; drift of AttenTD (arXiv 2205.08305)",
    formula="share of a head's attention on the trigger, and of records in which it drifts there, less the same on "
    "placebo words",
    run=run,
    options=TriggerOptions(),
    new_text=True,
    departures="the papers name no statistic for an auditor; the head is judged on other patients",
)
