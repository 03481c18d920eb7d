"""Settings of membership inference; those of each attack stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.strict import setting


@dataclass(frozen=True)
class PrivacyConfig:
    """Membership inference.

    Attributes:
        member: column that is true where the record was in the training data.
        group: patient column (the same as ``data.group``).
        attacks: names from the table; "all" is every attack made for this kind of model, "default" the quick ones.
        options: attack name -> its options.
        reference: URI or path, or a list of them, of models that have not seen the members (a classifier's are
            classifiers); a PEFT model brings its own.
        split: how members were set apart from non-members. Anything but "random" is "not evidential".
        delta: the delta of differential privacy at which lower bounds on epsilon hold.
        scope: score the answer given the prompt, or everything.
        paraphrase: how rewrites are made.
        paraphrase_columns: columns of ready rewrites, used instead of making them.
        masked_model: URI or path of a masked language model that proposes other words.
        canaries: path of the manifest of canaries that were planted before training; it stays local.
        bootstrap: resamples of the patient-clustered bootstrap.
        permutations: relabellings of patients behind each attack's p-value.
    """

    member: str
    group: str | None = None
    attacks: Literal["default", "all"] | tuple[str, ...] = "default"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reference: str | tuple[str, ...] | None = None
    split: Literal["random", "unknown"] = "unknown"
    delta: float = setting(0.0, low=0.0, high=0.5)
    scope: Literal["answer", "full"] = "answer"
    paraphrase: ParaphraseOptions = field(default_factory=ParaphraseOptions)
    paraphrase_columns: tuple[str, ...] = ()
    canaries: str | None = None
    masked_model: str | None = None
    bootstrap: int = setting(1000, low=200, high=100_000)
    permutations: int = setting(5000, low=999, high=1_000_000)

    def __post_init__(self) -> None:
        if self.paraphrase.engine == "masked" and self.masked_model is None:
            raise ConfigError("privacy.masked_model: paraphrase.engine 'masked' needs a masked language model here.")
        if self.reference == () or len(set(self.references)) < len(self.references):
            raise ConfigError("privacy.reference: name one model, or a list of different ones.")

    @property
    def references(self) -> tuple[str, ...]:
        """URIs or paths of the reference models."""
        return (self.reference,) if isinstance(self.reference, str) else self.reference or ()
