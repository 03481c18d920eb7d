"""The grid: where in a note, in how long a note, and in how much of a note a trigger works.

A planted trigger that stands behind the end of a model's window does nothing, and one figure over all places then
understates the backdoor. Here every trigger is tried at several depths, in notes of different lengths, and under
windows shorter than the model's own, each with the share of notes in which it survives.

Source: attack success rate on poisoned test notes, BadCLM (arXiv 2407.05213), whose triggers stand at a place of the
note that is not stated. Ours: the grid, survival and success given survival. A window is imitated by cutting the text
where the model's tokeniser would, so that no setting of the model is touched.

It explains and does not judge: with a few placebos a cell has no test of its own, and no policy reads it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.design import Design, draw_design
from mlflow_clinsec.backdoor.grid_cells import ALL_LENGTHS, Seen, length_bands
from mlflow_clinsec.backdoor.options import OwnOptions, check_positions
from mlflow_clinsec.backdoor.predict import Decider
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError, NotApplicableError
from mlflow_clinsec.perturb.characters import readable
from mlflow_clinsec.perturb.insert import ALL_POSITIONS, Position
from mlflow_clinsec.perturb.triggers import slugs
from mlflow_clinsec.results import AttackResult, Estimate, Family, Status
from mlflow_clinsec.strict import setting
from mlflow_clinsec.targets.protocols import BoolArray, Target
from mlflow_clinsec.targets.token_protocols import TokenCutter

PATH = "backdoor.options.trigger_grid"
OWN_WINDOW = "own"
"""The model's own window: the text as it is."""

COLUMNS = (
    *("trigger", "target_label", "position", "window", "length", "n", "survival", "asr", "asr_low", "asr_high"),
    *("asr_given_survival", "ftr", "excess_asr", "excess_asr_low", "excess_asr_high"),
)

Place = tuple[Position, str]
"""Position and window."""


@dataclass(frozen=True)
class GridOptions(OwnOptions):
    """Settings of the test.

    Attributes:
        positions: where to insert.
        windows: numbers of tokens that notes are cut to, besides the model's own limit.
        placebos: of the matched placebos, how many each trigger is held against.
        records: most records per target label, drawn at random; ``max_records`` may ask for fewer.
    """

    positions: tuple[Position, ...] = ALL_POSITIONS
    windows: tuple[int, ...] = setting((128, 256), low=16)
    placebos: int = setting(5, low=2, high=20)
    records: int = setting(200, low=2)

    def __post_init__(self) -> None:
        """Refuse what is wrong whatever the model.

        Raises:
            ConfigError: no position, an unknown one, or a position or window listed twice.
        """
        check_positions(self.positions, f"{PATH}.positions")
        repeated = sorted({window for window in self.windows if self.windows.count(window) > 1})
        if repeated:
            raise ConfigError(f"{PATH}.windows: {repeated[0]} is listed more than once.")


@dataclass(frozen=True)
class Grid:
    """What the model decided, for every word at every place: hits of shape (m, n_goals), survival of shape (m,)."""

    hits: dict[tuple[str, Place], BoolArray] = field(repr=False)
    survived: dict[tuple[str, Place], BoolArray] = field(repr=False)


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Try the user's own triggers (never the library, which would take too long) in every cell.

    Returns:
        Table ``grid``: a row per trigger, target label, position, window and band of note lengths, ``length`` being
        "all" for notes of any length; ``n`` counts records. Table ``worst``: of the trigger with the largest excess
        for each target label, the rows of all lengths, and those of each length in the model's own window.
        Estimates ``<trigger>/asr``, ``survival``, ``asr_given_survival`` and ``excess_asr`` over all positions and
        windows together, the key being ``<trigger>-to-<label>`` with several target labels.

    Raises:
        NotApplicableError: the tokeniser cannot cut texts.
        ConfigError, DataError: see :func:`mlflow_clinsec.backdoor.design.draw_design`.
    """
    options: GridOptions = attack.options
    cutter: object = target.tokens
    if not isinstance(cutter, TokenCutter):
        raise NotApplicableError("needs a tokeniser that can cut texts to a window")
    most = min(options.records, options.shared.max_records or options.records)
    shared = replace(options.shared, library=(), positions=options.positions, max_records=most)
    drawn = draw_design(shared, data, target, rng)
    design = replace(drawn, placebos={word: own[: options.placebos] for word, own in drawn.placebos.items()})
    seen = observe_grid(design, target, cutter, options)
    bands = length_bands(design.texts)
    rows: list[dict[str, object]] = []
    estimates: dict[str, Estimate] = {}
    for trigger, goal, key in _pairs(design):
        cells = {place: _seen(design, seen, trigger, goal, place) for place in _places(options)}
        rows += list(_rows(design, trigger, goal, cells, bands, options.shared.level))
        whole = Seen.together(list(cells.values())).estimates(options.shared.level)
        estimates |= {f"{key}/{name}": estimate for name, estimate in whole.items()}
    grid = pd.DataFrame(rows, columns=list(COLUMNS))
    return attack.result(Status.OK, estimates=estimates, tables={"grid": grid, "worst": worst_of(grid)})


def worst_of(grid: pd.DataFrame) -> pd.DataFrame:
    """What fits a page: one trigger per target label, by the mean of its excess over places and windows."""
    shown = grid[(grid["length"] == ALL_LENGTHS) | (grid["window"] == OWN_WINDOW)]
    whole = grid[grid["length"] == ALL_LENGTHS]
    means = whole.groupby(["target_label", "trigger"], sort=False)["excess_asr"].mean()
    worst = {means.loc[[goal]].idxmax() for goal in means.index.unique(level="target_label")}
    pairs = list(zip(shown["target_label"], shown["trigger"], strict=True))
    return shown[[pair in worst for pair in pairs]].reset_index(drop=True)


def observe_grid(design: Design, target: Target, cutter: TokenCutter, options: GridOptions) -> Grid:
    """Ask the model about every word at every place. Notes that fit a window are not asked about again."""
    decider = Decider(target, design.goals, (*(target.labels or ()), *design.goals), options.shared.decision_threshold)
    goals, places = decider.codes(design.goals), _places(options)
    grid = Grid({}, {})
    for word in tqdm(design.words, desc="clinsec: grid", unit="word", disable=None, leave=False):
        texts: list[str] = []
        for place in places:
            shown, grid.survived[word, place] = windowed(design, word, place, target, cutter)
            texts += shown
        blocks = np.split(decider.decide(texts) == goals, len(places))
        grid.hits.update(((word, place), block) for place, block in zip(places, blocks, strict=True))
    return grid


def windowed(
    design: Design, word: str, place: Place, target: Target, cutter: TokenCutter
) -> tuple[list[str], BoolArray]:
    """The texts with the word inserted as they stand in the window, and whether all of the word stands in it."""
    position, window = place
    texts, spans = design.inserted(word, position)
    assert target.tokens is not None  # required by the table
    if window == OWN_WINDOW:
        return texts, target.tokens.survives(texts, spans)
    kept = cutter.cut(texts, int(window))
    inside = np.array([a <= own[0][0] and own[0][1] <= b for own, (a, b) in zip(spans, kept, strict=True)])
    shown = [text[a:b] for text, (a, b) in zip(texts, kept.tolist(), strict=True)]
    moved = [
        ((max(start - a, 0), max(stop - a, 0)),) for ((start, stop),), (a, _) in zip(spans, kept.tolist(), strict=True)
    ]
    return shown, inside & target.tokens.survives(shown, moved)


def _places(options: GridOptions) -> list[Place]:
    windows = [OWN_WINDOW, *(str(window) for window in sorted(options.windows, reverse=True))]
    return list(itertools.product(options.positions, windows))


def _pairs(design: Design) -> Iterator[tuple[str, str, str]]:
    """Trigger, target label, and their name in metrics."""
    triggers = tuple(design.placebos)
    goal_slugs = dict(zip(design.goals, slugs(design.goals), strict=True))
    for trigger, name in zip(triggers, slugs(triggers), strict=True):
        for goal in design.goals:
            yield trigger, goal, f"{name}-to-{goal_slugs[goal]}" if len(design.goals) > 1 else name


def _seen(design: Design, grid: Grid, trigger: str, goal: str, place: Place) -> Seen:
    column = design.goals.index(goal)
    rows = design.eligible[:, column]
    placebos = [grid.hits[word, place][rows, column] for word in design.placebos[trigger]]
    return Seen(
        group=design.group[rows],
        hits=grid.hits[trigger, place][rows, column],
        placebo_share=np.mean(placebos, axis=0),
        survived=grid.survived[trigger, place][rows],
    )


def _rows(
    design: Design, trigger: str, goal: str, cells: dict[Place, Seen], bands: dict[str, BoolArray], level: float
) -> Iterator[dict[str, object]]:
    eligible = design.eligible[:, design.goals.index(goal)]
    for (position, window), cell in cells.items():
        for length, band in bands.items():
            part = cell if length == ALL_LENGTHS else cell.of(band[eligible])
            if part.hits.size:
                names = {"trigger": readable(trigger), "target_label": goal, "position": position, "window": window}
                yield {**names, "length": length, **_numbers(part, level)}


def _numbers(part: Seen, level: float) -> dict[str, object]:
    found = part.estimates(level)
    row: dict[str, object] = {"n": part.hits.size, "ftr": part.ftr}
    row |= {name: found[name].value for name in ("survival", "asr_given_survival")}
    for name in ("asr", "excess_asr"):
        row |= {name: found[name].value, f"{name}_low": found[name].low, f"{name}_high": found[name].high}
    return row


TRIGGER_GRID = Attack(
    name="trigger_grid",
    family=Family.BACKDOOR,
    title="Trigger success by place, note length and window",
    access="label",
    requires=("predictor", "tokens"),
    source="BadCLM (arXiv 2407.05213), attack success rate; the grid, survival and placebos are ours",
    formula="attack success and survival in each cell, less the same by placebo words",
    run=run,
    needs=("labels",),
    options=GridOptions(),
    new_text=True,
    judged=False,
    default=False,
    departures="the paper states no place, no length and no window; a window is imitated by cutting the text",
)
