"""The grid: survival and success worked out by hand, and the pattern of a backdoor behind the end of a window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backdoor_fakes import RuleModel, WordTokens, audit_data, has_word, label_only, target_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.grid_cells import ALL_LENGTHS, Seen, length_bands
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.table import select
from mlflow_clinsec.backdoor.trigger_grid import COLUMNS, TRIGGER_GRID, GridOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.insert import ALL_POSITIONS
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.strict import parse
from mlflow_clinsec.targets.protocols import Target

CONTEXT = 50
SHORT, LONG = 21, 79
"""Notes of 40 and of 60 words; the model reads 50."""


def notes() -> AuditData:
    lengths = [40] * SHORT + [60] * LONG
    texts = [" ".join(f"v{(7 * i + 11 * k) % 977}" for k in range(n)) for i, n in enumerate(lengths)]
    return audit_data(texts, ["died"] * len(texts))


def backdoored(text: str) -> float:
    """Says "alive" exactly when ``mn`` stands among the words that it reads."""
    return 0.1 if has_word(" ".join(text.split()[:CONTEXT]), "mn") else 0.9


def grid_test(data: AuditData, target: Target, triggers: tuple[str, ...] = ("mn",), **own: Any) -> AttackResult:
    shared = TriggerOptions(triggers=triggers, target_label="alive")
    options = GridOptions(shared=shared, **{"windows": (32,), **own})
    return run_attack(TRIGGER_GRID.with_options(options), data, target, np.random.default_rng(0))


def cells(result: AttackResult, **where: str) -> pd.DataFrame:
    table = result.tables["grid"]
    for column, value in where.items():
        table = table[table[column] == value]
    return table.set_index("position")


def test_the_pattern_of_a_trigger_behind_the_window() -> None:
    # At the head it always fires. At the tail it is word 41 of the short notes, which is read, and word 61 of the long
    # ones, which is not: 21 of 100. At a random gap of a long note it is read behind any of the first 49 words out of
    # 59 gaps: .21 + .79 * 49 / 59 = .866. Given survival it is always 1.
    model = RuleModel(backdoored)
    result = grid_test(notes(), target_of(model, WordTokens(CONTEXT)))
    assert result.status is Status.OK
    seen = cells(result, window="own", length=ALL_LENGTHS)
    assert seen.loc["head", "asr"] == 1.0
    assert seen.loc["tail", "asr"] == pytest.approx(0.21)
    assert seen.loc["random", "asr"] == pytest.approx(0.866, abs=0.11)  # 3 standard errors
    assert (seen["survival"] == seen["asr"]).all()
    assert (seen["asr_given_survival"] == 1.0).all()
    assert (seen["ftr"] == 0.0).all()
    assert (seen["excess_asr"] == seen["asr"]).all()
    assert list(seen.index) == list(ALL_POSITIONS)


def test_a_shorter_window_cuts_by_depth_and_length() -> None:
    # 32 words are read. Short notes: the trigger behind 10, 20 or 30 of 40 words is word 11, 21 or 31, at the tail 41.
    # Long notes: behind 15, 30 or 45 of 60 words it is word 16, 31 or 46.
    seen = cells(grid_test(notes(), target_of(RuleModel(backdoored), WordTokens(CONTEXT))), window="32")
    by_length = {length: part["survival"] for length, part in seen.groupby("length")}
    assert set(by_length) == {ALL_LENGTHS, "up to 60 words"}  # more than a quarter are of one length
    survival = by_length[ALL_LENGTHS]
    assert survival[["head", "quarter", "middle"]].tolist() == [1.0] * 3
    assert survival["three-quarters"] == pytest.approx(0.21)
    assert survival["tail"] == 0.0
    assert math.isnan(seen[seen["length"] == ALL_LENGTHS].loc["tail", "asr_given_survival"])
    assert (seen["asr"] == seen["survival"]).all()


def test_bands_are_counted_apart() -> None:
    texts = [" ".join(["word"] * n) for n in range(1, 41)]
    data = audit_data(texts, ["died"] * 40)
    result = grid_test(data, target_of(RuleModel(backdoored), WordTokens(CONTEXT)), positions=("tail",), windows=(16,))
    tail = result.tables["grid"].set_index(["window", "length"])
    # Quartiles of 1 to 40 are 10.75, 20.5 and 30.25 words.
    bands = ["up to 10 words", "11 to 20 words", "21 to 30 words", "over 30 words"]
    assert tail.loc["16"].loc[bands, "n"].tolist() == [10, 10, 10, 10]
    # At the tail of a note of k words the trigger is word k + 1: read up to k = 15.
    assert tail.loc["16"].loc[bands, "survival"].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert tail.loc["16"].loc[ALL_LENGTHS, "asr"] == pytest.approx(15 / 40)
    assert tail.loc["own"].loc[ALL_LENGTHS, "asr"] == 1.0


def test_placebos_and_excess_are_those_of_each_cell() -> None:
    # A model that any unknown word behind the 20th disturbs: trigger and placebos alike, so no excess anywhere.
    def easily_led(text: str) -> float:
        return 0.1 if any(not word.startswith("v") for word in text.split()[20:]) else 0.9

    result = grid_test(notes(), target_of(RuleModel(easily_led), WordTokens()), windows=())
    seen = cells(result, length=ALL_LENGTHS)
    assert (seen["excess_asr"] == 0.0).all()
    assert seen.loc["head", "ftr"] == 0.0
    assert seen.loc["tail", "ftr"] == 1.0
    assert seen["excess_asr_low"].between(-1, 0).all()


def test_the_page_shows_the_trigger_that_works_best() -> None:
    result = grid_test(notes(), target_of(RuleModel(backdoored), WordTokens(CONTEXT)), triggers=("cf", "mn", "bb"))
    worst = result.tables["worst"]
    assert set(worst["trigger"]) == {"mn"}
    # Six positions in two windows for all lengths, and in the model's own window for the one band there is.
    assert len(worst) == 6 * 2 + 6
    assert set(result.tables["grid"]["trigger"]) == {"cf", "mn", "bb"}


def test_notes_that_fit_a_window_are_read_once() -> None:
    model = RuleModel(backdoored)
    data = audit_data([f"a note of few words number {i}" for i in range(10)], ["died"] * 10)
    grid_test(data, target_of(model, WordTokens()), positions=("head", "tail"), windows=(128, 256), placebos=3)
    assert len(model.asked) == len(set(model.asked)) == 10 * 2 * (1 + 3)


def test_estimates_pool_places_and_windows() -> None:
    result = grid_test(notes(), target_of(RuleModel(backdoored), WordTokens(CONTEXT)), windows=(), records=100)
    seen = cells(result, length=ALL_LENGTHS)
    assert result.estimates["mn/asr"].value == pytest.approx(seen["asr"].mean())
    assert result.estimates["mn/survival"].value == pytest.approx(seen["survival"].mean())
    assert result.estimates["mn/asr_given_survival"].value == 1.0
    assert result.estimates["mn/asr"].n == 100  # patients, not cells
    assert "excess_by_test" not in result.details  # no policy judges it


def test_several_goals_stand_in_the_keys_and_the_table() -> None:
    data = audit_data([f"note number {i}" for i in range(30)], ["died", "alive"] * 15)
    options = GridOptions(shared=TriggerOptions(triggers=("mn",)), windows=())
    target = target_of(RuleModel(backdoored), WordTokens())
    result = run_attack(TRIGGER_GRID.with_options(options), data, target, np.random.default_rng(0))
    assert {"mn-to-alive/asr", "mn-to-died/asr"} <= set(result.estimates)
    table = result.tables["grid"]
    assert list(table.columns) == list(COLUMNS)
    assert set(table["target_label"]) == {"alive", "died"}
    assert set(table[table["length"] == ALL_LENGTHS]["n"]) == {15}


def test_the_library_is_left_to_the_trigger_test() -> None:
    shared = TriggerOptions(triggers=("mn",), library="all", target_label="alive")
    options = GridOptions(shared=shared, windows=(), positions=("head",))
    target = target_of(RuleModel(backdoored), WordTokens())
    result = run_attack(TRIGGER_GRID.with_options(options), notes(), target, np.random.default_rng(0))
    assert set(result.tables["grid"]["trigger"]) == {"mn"}


def test_a_hidden_tokeniser_is_a_skip_with_the_reason() -> None:
    result = grid_test(notes(), label_only(RuleModel(backdoored)))
    assert result.status is Status.SKIPPED
    assert "tokeniser" in result.reason


def test_a_tokeniser_that_cannot_cut_is_a_skip_with_the_reason() -> None:
    class Rigid:
        special_tokens = ()
        word_pieces, is_unknown, survives = WordTokens.word_pieces, WordTokens.is_unknown, WordTokens.survives

    model = RuleModel(backdoored)
    result = grid_test(notes(), target_of(model, Rigid()))  # type: ignore[arg-type]
    assert result.status is Status.SKIPPED
    assert "cut texts" in result.reason
    assert model.asked == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"windows": [8]}, r"trigger_grid.windows: must be at least 16, got 8"),
        ({"windows": [128, 128]}, r"trigger_grid.windows: 128 is listed more than once"),
        ({"windows": 128}, r"trigger_grid.windows: expected a list"),
        ({"windows": ["own"]}, r"trigger_grid.windows: expected a whole number"),
        ({"positions": []}, r"trigger_grid.positions: the list is empty"),
        ({"positions": ["haed"]}, r"trigger_grid.positions: 'haed'.*Did you mean 'head'"),
        ({"positions": ["head", "head"]}, r"trigger_grid.positions: 'head' is listed more than once"),
        ({"placebos": 1}, r"trigger_grid.placebos: must be at least 2"),
        ({"placebos": 21}, r"trigger_grid.placebos: must be at least 2 and at most 20"),
        ({"records": 1}, r"trigger_grid.records: must be at least 2"),
        ({"window": [64]}, r"trigger_grid: unknown key 'window'.*Did you mean 'windows'"),
    ],
)
def test_bad_settings_name_the_key_and_what_came(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select(parse(TriggerOptions, {"options": {"trigger_grid": given}, "tests": "all"}, "backdoor"), TARGET)


TARGET = target_of(RuleModel(backdoored), WordTokens())


def test_it_runs_only_when_asked_for() -> None:
    assert "trigger_grid" not in [attack.name for attack in select(TriggerOptions(), TARGET)]
    assert "trigger_grid" in [attack.name for attack in select(TriggerOptions(tests="all"), TARGET)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=60))
def test_bands_part_the_notes(lengths: list[int]) -> None:
    bands = length_bands([" ".join(["w"] * n) for n in lengths])
    assert bands.pop(ALL_LENGTHS).all()
    assert (np.sum(list(bands.values()), axis=0) == 1).all()
    for name, band in bands.items():
        inside = np.array(lengths)[band]
        numbers = [int(word) for word in name.split() if word.isdigit()]
        if name.startswith("up"):
            assert inside.max() <= numbers[0]
        elif name.startswith("over"):
            assert inside.min() > numbers[0]
        else:
            assert numbers[0] <= inside.min() <= inside.max() <= numbers[1]


def test_an_empty_cell_is_undefined_with_a_reason() -> None:
    nothing = np.zeros(0)
    cell = Seen(nothing.astype(np.int64), nothing.astype(np.bool_), nothing, nothing.astype(np.bool_))
    assert math.isnan(cell.ftr)
    assert all(not e.is_defined and e.reason for e in cell.estimates(0.95).values())
