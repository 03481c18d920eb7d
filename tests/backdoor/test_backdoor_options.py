"""Settings that are wrong whatever the model, refused when they are read."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.library import library
from mlflow_clinsec.perturb.triggers import DEFAULT_TRIGGERS
from mlflow_clinsec.strict import parse


def test_defaults_need_nothing_from_the_user() -> None:
    options = parse(TriggerOptions, {}, "backdoor")
    assert options.triggers[:2] == ("cf", "mn")
    assert (options.target_label, options.placebos) == ("each", 20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"triggers": []}, "triggers: the list is empty"),
        ({"triggers": ["cf", ""]}, r"triggers\[1\]"),
        ({"triggers": [" cf"]}, r"triggers\[0\].*' cf'"),
        ({"triggers": ["cf", "mn", "cf"]}, "'cf' is listed more than once"),
        ({"positions": []}, "positions: the list is empty"),
        ({"positions": ["haed"]}, "Did you mean 'head'"),
        ({"positions": ["head", "head"]}, "listed more than once"),
        ({"library": ["rare-word"]}, r"library: 'rare-word' is unknown.*Did you mean 'rare-words'"),
        ({"library": ["units", "units"]}, "'units' is listed more than once"),
        ({"library": "units"}, "library: 'units' is not allowed"),
        ({"positions": ["centre"]}, "three-quarters"),
        ({"placebos": 19}, "at least 20, got 19"),
        ({"decision_threshold": 0}, "above 0 and below 1, got 0"),
        ({"decision_threshold": 1.0}, "above 0 and below 1, got 1.0"),
        ({"level": 1.5}, "level"),
        ({"max_records": 1}, "max_records"),
        ({"trigers": ["cf"]}, "Did you mean 'triggers'"),
    ],
)
def test_bad_settings_name_the_key_and_what_came(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(TriggerOptions, settings, "backdoor")


def test_unknown_position_is_refused_without_the_parser_too() -> None:
    with pytest.raises(ConfigError, match=r"positions: 'haed' is unknown.*head"):
        TriggerOptions(positions=("haed",))  # type: ignore[arg-type]


def test_the_library_is_added_to_the_users_own_list() -> None:
    options = parse(TriggerOptions, {"triggers": ["nkda", "zebra"], "library": ["rare-words"]}, "backdoor")
    assert options.every_trigger == ("nkda", "zebra", "cf", "mn", "bb", "tq", "mb")
    assert parse(TriggerOptions, {}, "backdoor").every_trigger == DEFAULT_TRIGGERS
    everything = parse(TriggerOptions, {"library": "all"}, "backdoor").every_trigger
    assert len(everything) == len(set(everything)) == len(library())  # the defaults are in it
