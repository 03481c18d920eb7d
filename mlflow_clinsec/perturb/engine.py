"""What every paraphraser offers, what it may need, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.options import ENGINE_NAMES, MaskedOptions, ParaphraseOptions

if TYPE_CHECKING:
    from mlflow_clinsec.targets.companion_protocols import Infiller, Rewriter


class ParaphraseEngine(Protocol):
    """Rewrites a text without changing what it says. Its proposals still pass the fidelity gate."""

    @property
    def name(self) -> str:
        """Shown in the report."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its proposals depend on besides text and generator, as plain values: part of the cache's key."""
        ...

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """Up to ``count`` rewrites. Whatever comes is judged: the text itself, an empty string, far too many words.

        Raises:
            EngineError: no rewrites can be had now; what was made before is not lost.
        """
        ...


@dataclass(frozen=True)
class Helpers:
    """What an engine may need beyond its own settings.

    Attributes:
        infiller: masked language model, for ``masked``.
        rewriter: text-writing model, for ``transformers``.
        allow_egress: hosts that text may be sent to, for ``endpoint``.
    """

    infiller: Infiller | None = None
    rewriter: Rewriter | None = None
    allow_egress: tuple[str, ...] = ()


def _rules(options: ParaphraseOptions, helpers: Helpers) -> ParaphraseEngine:
    from mlflow_clinsec.perturb.rules import RulesEngine

    return RulesEngine()


def _masked(options: ParaphraseOptions, helpers: Helpers) -> ParaphraseEngine:
    from mlflow_clinsec.perturb.masked import MaskedEngine

    if helpers.infiller is None:
        raise ConfigError("paraphrase.engine: 'masked' needs a masked language model; see privacy.masked_model")
    return MaskedEngine(helpers.infiller, options.masked or MaskedOptions())


def _transformers(options: ParaphraseOptions, helpers: Helpers) -> ParaphraseEngine:
    from mlflow_clinsec.perturb.written import WrittenEngine

    assert options.transformers is not None  # promised by the options
    if helpers.rewriter is None:
        raise ConfigError("paraphrase.engine: 'transformers' was not given its loaded model")
    return WrittenEngine(helpers.rewriter, options.transformers)


def _endpoint(options: ParaphraseOptions, helpers: Helpers) -> ParaphraseEngine:
    from mlflow_clinsec.perturb.endpoint import EndpointEngine

    assert options.endpoint is not None  # promised by the options
    return EndpointEngine(options.endpoint, helpers.allow_egress)


_MAKERS = (_rules, _masked, _transformers, _endpoint)
ENGINES: Mapping[str, Callable[[ParaphraseOptions, Helpers], ParaphraseEngine]] = dict(
    zip(ENGINE_NAMES, _MAKERS, strict=True)
)


def make_engine(options: ParaphraseOptions, helpers: Helpers = Helpers()) -> ParaphraseEngine:
    """The engine that the options name.

    Raises:
        ConfigError: an endpoint on a host that ``allow_egress`` does not name, or whose key is not in the environment;
            an engine whose model was not given.
    """
    return ENGINES[options.engine](options, helpers)
