"""All records' numbers, from checkpoints where they are and from workers where they are not."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import mlflow
from tqdm.auto import tqdm

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.engine.assembly import Assembly
from mlflow_clinsec.engine.checkpoint import Checkpoint, state_of
from mlflow_clinsec.engine.division import scored_under
from mlflow_clinsec.engine.loading import WorkerPlan, uri_of
from mlflow_clinsec.engine.ray_pool import score_with_ray
from mlflow_clinsec.engine.rows import Rows
from mlflow_clinsec.engine.shards import Part
from mlflow_clinsec.engine.worker import Worker
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.precision_guard import reduced
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.targets.protocols import Target

logger = logging.getLogger(__name__)


def gathered(parts: Sequence[Part], own: Worker, model: Any, checkpoint: Checkpoint | None) -> Rows:
    """Rows of all parts, in the records' order; each part is kept as soon as it is there.

    Args:
        own: the worker of this process, which scores where no others do.
        model: the model whose URI other workers load.
    """
    asked = {attack.name for attack in own.asked}
    scored = scored_under(own.attacks)
    found = Assembly(0, sum(part.rows for part in parts))
    todo = list(parts)
    if checkpoint is not None:
        wanted = {name: digest for name, digest in scored.items() if name in asked}
        todo = [part for part in parts if not _done_before(part, checkpoint, wanted, asked, found)]
        logger.info("clinsec: %d of %d parts were done before", len(parts) - len(todo), len(parts))
    with tqdm(total=len(parts), initial=len(parts) - len(todo), desc="clinsec: parts", unit="part") as bar:
        for part, rows in _scored(todo, own, model):
            found.put(rows.of(asked))
            if checkpoint is not None:
                checkpoint.keep(part, rows, scored)
            bar.update()
    return found.rows()


def _done_before(
    part: Part, checkpoint: Checkpoint, wanted: Mapping[str, str], asked: Collection[str], found: Assembly
) -> bool:
    """Whether a checkpoint holds the part; its rows are then put in their place."""
    rows = checkpoint.find(part, wanted)
    if rows is not None:
        found.put(rows.of(asked))
    return rows is not None


def _scored(parts: Sequence[Part], own: Worker, model: Any) -> Iterator[tuple[Part, Rows]]:
    config = own.config
    if not parts:
        return
    if config.engine == "local":
        own.warm_up()
        yield from ((part, own.score(part)) for part in parts)
        return
    if not reduced(own.target):  # one precision for all records: that which was decided here
        config = replace(config, scoring=replace(config.scoring, precision="auto"))
    plan = WorkerPlan(config, uri_of(model, config.scale.model_uri), mlflow.get_tracking_uri(), own.key)
    yield from score_with_ray(parts, plan, config.scale)


def checkpoint_of(config: AuditConfig, model: Any, target: Target) -> Checkpoint | None:
    """The checkpoints that the configuration asks for, of this very model and these settings.

    Raises:
        ConfigError: the folder cannot be used, or the model cannot be told from another one.
    """
    scale = config.scale
    if scale.checkpoint is None:
        return None
    uri = scale.model_uri or ""
    model_id = str(getattr(model, "model_id", None) or "")
    if not (target.digest or model_id or uri):
        raise ConfigError("scale.checkpoint: this model cannot be told from another one; audit it by its URI.")
    # The digest is of a sample of the weights: what else is known tells models apart that differ in one embedding.
    known = (target.digest, model_id, uri, state_of(uri) if uri else (), target.precision)
    places = [(place, state_of(place)) for place in _places(config.privacy)]
    shape = (scale.part_records, scale.batch_records, scale.cpus_per_worker, scale.gpus_per_worker > 0)
    settings = (_read_from(config.privacy), config.backdoor is None, config.data, config.scoring, config.seed)
    return Checkpoint(scale.checkpoint, known, places, shape, settings)


def _places(privacy: PrivacyConfig | None) -> list[str]:
    """Models and files beside the audited model from which numbers are made."""
    if privacy is None:
        return []
    rewrites = privacy.paraphrase
    writer = rewrites.transformers.model if rewrites.transformers else None
    named = (*privacy.references, privacy.masked_model, privacy.canaries, rewrites.encoder, writer)
    return [place for place in named if place is not None]


def _read_from(privacy: PrivacyConfig | None) -> PrivacyConfig | None:
    """The settings without which attacks are run and how they are judged: a checkpoint knows each attack by itself."""
    if privacy is None:
        return None
    usual = PrivacyConfig(privacy.member)
    names = ("attacks", "options", "bootstrap", "permutations", "split", "delta")
    return replace(privacy, **{name: getattr(usual, name) for name in names})
