"""The table of membership attacks. A new attack is one file and one line here."""

from __future__ import annotations

import dataclasses

from mlflow_clinsec.attack import Attack, Kind, made_for, names
from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.privacy.blind import BLIND
from mlflow_clinsec.privacy.calibrated import EZ_CALIBRATED, LOG_RATIO_CALIBRATED
from mlflow_clinsec.privacy.canary import CANARY
from mlflow_clinsec.privacy.combiner import COMBINER
from mlflow_clinsec.privacy.confidence import CONFIDENCE, ENTROPY, MODIFIED_ENTROPY
from mlflow_clinsec.privacy.ez import EZ
from mlflow_clinsec.privacy.label_only import LABEL_ONLY
from mlflow_clinsec.privacy.lira import LIRA, LIRA_CLASSIFIER
from mlflow_clinsec.privacy.log_ratio import LOG_RATIO, LOG_RATIO_STUDENTISED
from mlflow_clinsec.privacy.loss import LOSS
from mlflow_clinsec.privacy.masked_energy import MASKED_ENERGY, MASKED_LOSS
from mlflow_clinsec.privacy.min_k import MIN_K, MIN_K_PLUS_PLUS
from mlflow_clinsec.privacy.neighbourhood import NEIGHBOURHOOD
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.privacy.paraphrase_gap import PARAPHRASE_GAP, PARAPHRASE_GAP_Z
from mlflow_clinsec.privacy.paraphrase_only import PARAPHRASE_ONLY, PARAPHRASE_ONLY_MIN
from mlflow_clinsec.privacy.per_class import PER_CLASS
from mlflow_clinsec.privacy.quantile_regression import QUANTILE_REGRESSION
from mlflow_clinsec.privacy.recall import CON_RECALL, RECALL
from mlflow_clinsec.privacy.reference import REFERENCE
from mlflow_clinsec.privacy.regurgitation import REGURGITATION
from mlflow_clinsec.privacy.rmia import RMIA, RMIA_CLASSIFIER
from mlflow_clinsec.privacy.spv import SPV, SPV_TARGET
from mlflow_clinsec.privacy.wbc import WBC
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
    WBC,
    EZ,
    LOG_RATIO_CALIBRATED,
    EZ_CALIBRATED,
    PARAPHRASE_GAP,
    PARAPHRASE_GAP_Z,
    PARAPHRASE_ONLY,
    PARAPHRASE_ONLY_MIN,
    COMBINER,
    LIRA,
    RMIA,
    SPV,
    SPV_TARGET,
    RECALL,
    CON_RECALL,
    NEIGHBOURHOOD,
    REGURGITATION,
)
MASKED_LANGUAGE_MODEL: tuple[Attack, ...] = (MASKED_LOSS, MASKED_ENERGY)
CLASSIFIER: tuple[Attack, ...] = (
    CONFIDENCE,
    ENTROPY,
    MODIFIED_ENTROPY,
    PER_CLASS,
    LIRA_CLASSIFIER,
    RMIA_CLASSIFIER,
    QUANTILE_REGRESSION,
    LABEL_ONLY,
)
BASELINES: tuple[Attack, ...] = (BLIND,)
PLANTED: tuple[Attack, ...] = (CANARY,)


KINDS: tuple[Kind, ...] = (
    Kind("causal language models", ("scorer", "generator"), LANGUAGE_MODEL),
    Kind("masked language models", ("masked_scorer",), MASKED_LANGUAGE_MODEL),
    Kind("classifiers", ("label_scorer", "predictor"), CLASSIFIER),
)
ATTACKS: tuple[Attack, ...] = LANGUAGE_MODEL + MASKED_LANGUAGE_MODEL + CLASSIFIER + BASELINES + PLANTED


def select(config: PrivacyConfig, target: Target) -> tuple[Attack, ...]:
    """The attacks to run, in table order, with their options.

    "all" takes every attack made for this kind of model, "default" those of them that are cheap and assume little of
    the attacker. What this very model cannot serve is then reported as skipped. The blind baseline always runs:
    without it no other number can be read. So do the planted canaries, where there is a manifest of them.

    Raises:
        ConfigError: a name that is not in the table, or options for an attack that is not run.
    """
    _refuse_unknown(tuple(config.options), "privacy.options")
    always = BASELINES + (PLANTED if config.canaries else ())
    if isinstance(config.attacks, str):
        wanted = made_for(KINDS, target)
        chosen = tuple(a for a in wanted if a.default or config.attacks == "all") + always
    else:
        _refuse_unknown(config.attacks, "privacy.attacks")
        chosen = tuple(a for a in ATTACKS if a.name in config.attacks or a in always)
    return tuple(_with_options(attack, config) for attack in chosen)


def _refuse_unknown(given: tuple[str, ...], key: str) -> None:
    known = names(ATTACKS)
    for name in given:
        if name not in known:
            raise ConfigError(f"{key}: unknown attack {name!r}.{did_you_mean(name, known)}")


def _with_options(attack: Attack, config: PrivacyConfig) -> Attack:
    given = {"bootstrap": config.bootstrap, "permutations": config.permutations, **config.options.get(attack.name, {})}
    defaults = dataclasses.asdict(attack.options) | {"split": config.split, "delta": config.delta}
    return attack.with_options(parse(type(attack.options), defaults | given, f"privacy.options.{attack.name}"))
