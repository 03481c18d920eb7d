"""The table of membership attacks. A new attack is one file and one line here."""

from __future__ import annotations

import dataclasses

from mlflow_clinsec.attack import Attack, names
from mlflow_clinsec.config import PrivacyConfig
from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.privacy.blind import BLIND
from mlflow_clinsec.privacy.confidence import CONFIDENCE, ENTROPY, MODIFIED_ENTROPY
from mlflow_clinsec.privacy.log_ratio import LOG_RATIO, LOG_RATIO_STUDENTISED
from mlflow_clinsec.privacy.loss import LOSS
from mlflow_clinsec.privacy.min_k import MIN_K, MIN_K_PLUS_PLUS
from mlflow_clinsec.privacy.paraphrase_gap import PARAPHRASE_GAP, PARAPHRASE_GAP_Z
from mlflow_clinsec.privacy.paraphrase_only import PARAPHRASE_ONLY, PARAPHRASE_ONLY_MIN
from mlflow_clinsec.privacy.reference import REFERENCE
from mlflow_clinsec.privacy.zlib_ratio import ZLIB
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target

LANGUAGE_MODEL: tuple[Attack, ...] = (
    LOSS,
    REFERENCE,
    ZLIB,
    MIN_K,
    MIN_K_PLUS_PLUS,
    LOG_RATIO,
    LOG_RATIO_STUDENTISED,
    PARAPHRASE_GAP,
    PARAPHRASE_GAP_Z,
    PARAPHRASE_ONLY,
    PARAPHRASE_ONLY_MIN,
)
CLASSIFIER: tuple[Attack, ...] = (CONFIDENCE, ENTROPY, MODIFIED_ENTROPY)
BASELINES: tuple[Attack, ...] = (BLIND,)
ATTACKS: tuple[Attack, ...] = LANGUAGE_MODEL + CLASSIFIER + BASELINES


def select(config: PrivacyConfig, target: Target) -> tuple[Attack, ...]:
    """The attacks to run, in table order, with their options.

    "default" and "all" take every attack made for this kind of model; those that this very model cannot serve are
    reported as skipped. The blind baseline always runs: without it no other number can be read.

    Raises:
        ConfigError: a name that is not in the table, or options for an attack that is not run.
    """
    if isinstance(config.attacks, str):
        chosen = (LANGUAGE_MODEL if target.scorer is not None else CLASSIFIER) + BASELINES
    else:
        _refuse_unknown(config.attacks, "privacy.attacks")
        chosen = tuple(a for a in ATTACKS if a.name in config.attacks or not a.judged)
    _refuse_unknown(tuple(config.options), "privacy.options")
    return tuple(_with_options(attack, config) for attack in chosen)


def _refuse_unknown(given: tuple[str, ...], key: str) -> None:
    known = names(ATTACKS)
    for name in given:
        if name not in known:
            raise ConfigError(f"{key}: unknown attack {name!r}.{did_you_mean(name, known)}")


def _with_options(attack: Attack, config: PrivacyConfig) -> Attack:
    given = {"bootstrap": config.bootstrap, **config.options.get(attack.name, {})}
    defaults = dataclasses.asdict(attack.options)
    return attack.with_options(parse(type(attack.options), defaults | given, f"privacy.options.{attack.name}"))
