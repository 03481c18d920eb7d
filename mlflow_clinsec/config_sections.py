"""Sections of the configuration that concern both kinds of audit: columns, forward passes, what is kept and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.strict import setting


@dataclass(frozen=True)
class DataConfig:
    """Columns of the data.

    Attributes:
        text: column of plain notes; found by itself when there is one column named ``text`` or one text column.
        prompt, response: columns of question and answer; set both or neither.
        label: column of true labels; MLflow's ``targets`` when left out.
        group: column of patient ids. Never logged.
        subgroups: columns of at most 20 levels (sex, ward) by which the strongest membership attack is broken down.
        rarity: column of diagnoses; the same attack is broken down by how many patients share the diagnosis.
        label_names: label in the data -> label of the model, where the two differ (``{"0": "alive"}``).
    """

    text: str | None = None
    prompt: str | None = None
    response: str | None = None
    label: str | None = None
    group: str | None = None
    subgroups: tuple[str, ...] = ()
    rarity: str | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.prompt is None) != (self.response is None):
            raise ConfigError("data: 'prompt' and 'response' go together; set both or neither.")
        if self.text is not None and self.response is not None:
            raise ConfigError("data: set either 'text' or 'prompt' and 'response', not both.")


@dataclass(frozen=True)
class ScoringConfig:
    """Forward passes.

    Attributes:
        batch_tokens: most tokens in one batch, padding counted; 1024 on a processor and 8192 on a GPU when left out.
        max_length: tokens of context; the model's own when left out.
        device: "auto" or a torch device.
        backend: "vllm" lets vLLM, where it is installed, give token log-probabilities of causal language models.
        precision: "bfloat16" runs the passes of float32 models in it, if a sample of the records scores as before: mean
            losses and probabilities to 0.01, ranks to 0.999; "auto" is the type that the model was loaded in.
        time_limit_s: seconds that one call to a function or PythonModel, of at most 256 texts, may take; the audit
            then goes on without the model.
    """

    batch_tokens: int | None = setting(None, low=16)
    max_length: int | None = setting(None, low=8)
    device: str = "auto"
    backend: Literal["transformers", "vllm"] = "transformers"
    precision: Literal["auto", "bfloat16"] = "auto"
    time_limit_s: float = setting(3600.0, low=0.1)

    def __post_init__(self) -> None:
        if self.backend == "vllm" and self.device != "auto":
            raise ConfigError("scoring.device: vLLM runs where it was built for; leave this at 'auto'.")
        if self.backend == "vllm" and self.precision != "auto":
            raise ConfigError("scoring.precision: vLLM takes the type of the logged model; leave this at 'auto'.")


@dataclass(frozen=True)
class CacheConfig:
    """What is kept on this machine between audits: scores and finished results, sealed, never text.

    Attributes:
        enabled: whether anything is kept; without it a killed audit starts anew.
        dir: its folder, of mode 0700; the environment variable ``CLINSEC_CACHE_DIR``, else the platform's place for
            caches, when left out.
        max_gb: size of the file in gigabytes; what was used least recently goes first.
    """

    enabled: bool = True
    dir: str | None = None
    max_gb: float = setting(5.0, low=0.001)


@dataclass(frozen=True)
class ReportConfig:
    """What is written.

    Attributes:
        min_cell: counts below this are suppressed.
        figures: whether to draw.
        title: heading of the audit card.
        per_record: "local" writes scores record by record, keyed, to a file on this machine; see
            :mod:`mlflow_clinsec.per_record`.
        per_record_path: that file, CSV or Parquet, new, and outside the artifact store.
    """

    min_cell: int = setting(11, low=1)
    figures: bool = True
    title: str = ""
    per_record: Literal["none", "local"] = "none"
    per_record_path: str | None = None

    def __post_init__(self) -> None:
        if (self.per_record == "local") != (self.per_record_path is not None):
            raise ConfigError("report: per_record 'local' and per_record_path go together; set both or neither.")
