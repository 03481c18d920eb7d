"""The table of backdoor tests. A new test is one file and one line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from mlflow_clinsec.attack import Attack, Kind, made_for, names
from mlflow_clinsec.backdoor.attention_focus import ATTENTION_FOCUS
from mlflow_clinsec.backdoor.clean_utility import CLEAN_UTILITY
from mlflow_clinsec.backdoor.filters.filters import FILTERS
from mlflow_clinsec.backdoor.options import OwnOptions, TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER
from mlflow_clinsec.backdoor.trigger_generation import TRIGGER_GENERATION
from mlflow_clinsec.backdoor.trigger_grid import TRIGGER_GRID
from mlflow_clinsec.backdoor.trigger_logprob import TRIGGER_LOGPROB
from mlflow_clinsec.backdoor.trigger_search import TRIGGER_SEARCH
from mlflow_clinsec.errors import ConfigError, did_you_mean
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target

CLASSIFIER: tuple[Attack, ...] = (TRIGGER, TRIGGER_GRID, ATTENTION_FOCUS, CLEAN_UTILITY, FILTERS, TRIGGER_SEARCH)
LANGUAGE_MODEL: tuple[Attack, ...] = (TRIGGER_GENERATION, TRIGGER_LOGPROB, ATTENTION_FOCUS)

KINDS: tuple[Kind, ...] = (
    Kind("classifiers", ("label_scorer", "predictor"), CLASSIFIER),
    Kind("causal language models", ("scorer", "generator"), LANGUAGE_MODEL),
)
ATTACKS: tuple[Attack, ...] = tuple({attack.name: attack for attack in CLASSIFIER + LANGUAGE_MODEL}.values())


def select(options: TriggerOptions, target: Target) -> tuple[Attack, ...]:
    """The tests to run, in table order, with the user's options.

    "all" takes every test made for this kind of model, "default" those of them that are cheap.

    Raises:
        ConfigError: a name that is not in the table, or options that a test does not have.
    """
    _refuse_unknown(tuple(options.options), "backdoor.options")
    if isinstance(options.tests, str):
        chosen = tuple(a for a in made_for(KINDS, target) if a.default or options.tests == "all")
    else:
        _refuse_unknown(options.tests, "backdoor.tests")
        chosen = tuple(a for a in ATTACKS if a.name in options.tests)
    return tuple(_with_options(attack, options) for attack in chosen)


def _refuse_unknown(given: tuple[str, ...], key: str) -> None:
    known = names(ATTACKS)
    for name in given:
        if name not in known:
            raise ConfigError(f"{key}: unknown test {name!r}.{did_you_mean(name, known)}")


def _with_options(attack: Attack, options: TriggerOptions) -> Attack:
    """A test without options of its own reads the shared ones; any other gets them beside its own."""
    given, path = dict(options.options.get(attack.name, {})), f"backdoor.options.{attack.name}"
    if not isinstance(attack.options, OwnOptions):
        if given:
            raise ConfigError(f"{path}: this test has no options of its own; its settings stand under 'backdoor'.")
        return attack.with_options(options)
    if "shared" in given:
        raise ConfigError(f"{path}: unknown key 'shared'.{did_you_mean('shared', _own_keys(attack.options))}")
    return attack.with_options(parse(type(attack.options), {**given, "shared": options}, path))


def _own_keys(options: OwnOptions) -> Iterator[str]:
    return (field.name for field in dataclasses.fields(options) if field.name != "shared")
