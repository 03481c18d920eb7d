"""The configuration of an audit: ``AuditConfig.from_mapping(evaluator_config)``.

Every key that a user may write in ``evaluator_config`` or in a config file is a field below or of a section that is
named below; the options of attacks and tests live beside them and are read by the same strict rules.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.config_sections import CacheConfig, DataConfig, ReportConfig, ScoringConfig
from mlflow_clinsec.engine.options import NEUTRAL, ScaleOptions
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.egress import refuse_egress
from mlflow_clinsec.policy import PolicyConfig
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.strict import parse, setting

__all__ = ("AuditConfig", "CacheConfig", "DataConfig", "PrivacyConfig", "ReportConfig", "ScoringConfig")

LOCAL_PATHS = (
    ("privacy", "canaries"),
    ("privacy", "paraphrase", "cache"),
    ("report", "per_record_path"),
    ("data_path",),
)
"""Settings that name files of records on this machine: reports say that they were given, not where the files lie."""


def _hide(settings: dict[str, Any], path: Sequence[str]) -> None:
    """Put "local" in place of a setting that was given."""
    *folders, last = path
    place: Any = settings
    for name in folders:
        place = place and place[name]
    if place and place[last] is not None:
        place[last] = "local"


@dataclass(frozen=True)
class AuditConfig:
    """The whole configuration. At least one of ``privacy`` and ``backdoor`` must be asked for.

    Attributes:
        precomputed: columns that stand in for a model; see :mod:`mlflow_clinsec.targets.precomputed`.
        seed: the one seed that everything random is derived from.
        metric_prefix: put before every metric name, as MLflow's own evaluators do.
        allow_egress: hosts that text of records may be sent to; none, unless they are named here.
        data_path: Parquet or CSV file, or folder of such files, read in parts instead of the data given to MLflow.
        engine: who scores the parts: this process, or workers on Ray.
        scale: how they are read and scored.
    """

    privacy: PrivacyConfig | None = None
    backdoor: TriggerOptions | None = None
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    data: DataConfig = field(default_factory=DataConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    precomputed: Mapping[str, Any] = field(default_factory=dict)
    seed: int = setting(0, low=0)
    metric_prefix: str = ""
    allow_egress: tuple[str, ...] = ()
    data_path: str | None = None
    engine: Literal["local", "ray"] = "local"
    scale: ScaleOptions = field(default_factory=ScaleOptions)

    def __post_init__(self) -> None:
        if self.privacy is None and self.backdoor is None:
            raise ConfigError("evaluator_config asks for nothing: give 'privacy', 'backdoor' or both.")
        if self.privacy is None and (self.data.subgroups or self.data.rarity):
            raise ConfigError("data.subgroups and data.rarity break membership attacks down; give 'privacy' with them.")
        if self.data.group and self.privacy and self.privacy.group not in (None, self.data.group):
            raise ConfigError("privacy.group and data.group name different columns; one patient column is used.")
        if self.engine == "ray" and self.data_path is None:
            raise ConfigError("engine: 'ray' reads its records from files; name them in data_path.")
        if self.data_path is not None and (unfit := self._unfit_for_parts()):
            raise ConfigError(f"data_path: records are read in parts there, which {', '.join(unfit)} cannot do with.")
        endpoint = self.privacy.paraphrase.endpoint if self.privacy else None
        if endpoint is not None:
            refuse_egress(endpoint.url, "privacy.paraphrase.endpoint.url", self.allow_egress)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> AuditConfig:
        """Read a user's mapping; see :func:`mlflow_clinsec.strict.parse` for the errors."""
        return parse(cls, mapping, "evaluator_config")

    def _unfit_for_parts(self) -> list[str]:
        """Settings that need all records at once."""
        given = {
            "precomputed": self.precomputed,
            "data.subgroups": self.data.subgroups,
            "data.rarity": self.data.rarity,
            "privacy.paraphrase_columns": self.privacy and self.privacy.paraphrase_columns,
            "report.per_record_path": self.report.per_record_path,
        }
        return [key for key, value in given.items() if value]

    @property
    def group(self) -> str | None:
        """The patient column, wherever it was named."""
        return self.data.group or (self.privacy.group if self.privacy else None)

    def settings(self) -> dict[str, Any]:
        """The effective configuration as plain values, for the report; without what changes no number: the cache, the
        engine and the number of its workers."""
        found = dict(json.loads(json.dumps(dataclasses.asdict(self), default=list)))
        for key in ("cache", "engine", *(("scale",) if self.data_path is None else ())):
            del found[key]
        for key in NEUTRAL:
            found.get("scale", {}).pop(key, None)
        for path in LOCAL_PATHS:
            _hide(found, path)
        return found

    def digest(self) -> str:
        """Hex digest of the effective configuration: equal configurations give equal digests."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]
