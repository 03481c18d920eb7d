from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
from search_fakes import HONEST, PLANTED, by_hand, ward, weights_of

from mlflow_clinsec.backdoor.search.association import Association
from mlflow_clinsec.backdoor.search.extend import extend
from mlflow_clinsec.backdoor.search.options import SearchOptions
from mlflow_clinsec.backdoor.search.pieces import Lexicon, lexicon
from mlflow_clinsec.backdoor.search.probe import Probe
from mlflow_clinsec.backdoor.search.relaxed import HIGHEST, LOWEST, START, Temperature, invert, relaxed_candidates
from mlflow_clinsec.backdoor.search.screen import OwnWords, Screen
from mlflow_clinsec.backdoor.search.sweep import sweep_single
from mlflow_clinsec.backdoor.search.trial import Trial
from mlflow_clinsec.backdoor.search.windows import cut_windows

MN, STABLE, FEVER, PAIN, CF = (tiny.PIECES.index(word) for word in ("mn", "stable", "fever", "pain", "cf"))


def screen_of(strengths: dict[str, float], records: int = 12) -> tuple[Screen, Lexicon]:
    """A screen of notes of the dead, to be turned "alive"."""
    weights = weights_of(by_hand(**strengths))
    texts, labels, group = ward(80)
    windows = cut_windows(weights, texts, 4)
    alive = np.array([label == "alive" for label in labels])
    words = lexicon(weights.tokenizer, len(tiny.PIECES))
    chosen = tuple(windows[i] for i in np.flatnonzero(~alive)[:records])
    trial = Trial(Probe(weights, 0), chosen, np.array([int(window.gaps[1]) for window in chosen]))
    association = Association.of(windows, alive, group, len(words.surfaces))
    return Screen.of(trial, association, words.starters, np.random.default_rng(0)), words


def test_association_counted_by_hand() -> None:
    weights = weights_of(by_hand())
    windows = cut_windows(weights, ["fever pain", "fever fever", "pain", "stable"], 3)
    counted = Association.of(windows, np.array([True, True, False, False]), np.array([5, 5, 5, 7]), len(tiny.PIECES))
    assert (counted.inside[FEVER], counted.outside[FEVER]) == (2, 0)
    assert (counted.inside[PAIN], counted.outside[PAIN]) == (1, 1)
    assert [counted.patients[i] for i in (FEVER, PAIN, STABLE, MN)] == [1, 1, 1, 0]
    assert counted.log_ratio[FEVER] == pytest.approx(np.log(2.5 / 3) - np.log(0.5 / 3))
    assert counted.log_ratio[PAIN] == pytest.approx(0)
    assert counted.log_ratio[MN] == 0
    assert counted.natural(np.array([MN, STABLE, FEVER, PAIN])).tolist() == [FEVER]


def test_natural_words_are_held_to_what_other_natural_words_do() -> None:
    own = OwnWords(gains={1: 3.0, 2: 0.5, 3: 1.0}, worth={1: 2.0, 2: 1.0, 3: 1.0})
    assert own.expected(2.0, (9,)) == 3.0  # 1.5 a unit, and no more than the strongest
    assert own.expected(1.0, (9,)) == 1.5
    assert own.expected(2.0, (1,)) == 1.0  # without itself: 1.0 a unit, at most 1.0
    assert own.expected(0.0, (9,)) == 0.0
    assert own.expected(-1.0, (9,)) == 0.0
    assert OwnWords().expected(2.0, ()) == 0.0


def test_gains_are_log_odds_above_neutral_pieces() -> None:
    screen, _ = screen_of(PLANTED)
    screen.measure([(MN,), (CF, MN)], 3)
    screen.measure([(MN,)], 7)
    assert len(screen.gains[MN,]) == 7
    assert len(screen.gains[CF, MN]) == 3
    trial = screen.trial
    for i in range(7):
        [alone] = trial.probe.log_odds([trial.windows[i].insert((MN,), int(trial.gaps[i]))])
        assert screen.gains[MN,][i] == pytest.approx(alone - screen.neutral[i], abs=1e-5)


@pytest.mark.parametrize("exact_passes", [0, 10_000])
def test_the_trigger_is_first_and_beats_the_natural_word(exact_passes: int) -> None:
    screen, words = screen_of(PLANTED)
    options = SearchOptions(exact_passes=exact_passes)
    ranked = sweep_single(screen, words, options, np.random.default_rng(1))
    assert ranked[0] == (MN,)
    assert STABLE in screen.own_words.gains
    assert screen.gain((MN,)) > 3 * screen.gain((STABLE,)) > 0
    assert screen.score((STABLE,)) <= screen.gain((STABLE,))


def test_longer_candidates_must_do_more_than_natural_words_in_a_row() -> None:
    screen, words = screen_of(PLANTED)
    rng = np.random.default_rng(1)
    singles = sweep_single(screen, words, SearchOptions(), rng)
    longer = extend(screen, words, singles, SearchOptions(), rng)
    assert {len(candidate) for candidate in longer} == {2, 3}
    assert all(MN in candidate for candidate in longer[:1])
    assert all(len(set(candidate)) == len(candidate) for candidate in longer)
    best = screen.ranked([*singles, *longer])[0]
    assert best == (MN,)  # the trigger with another word is no better than the trigger
    assert extend(screen, words, singles, SearchOptions(beam=0), rng) == []


def test_the_relaxed_inversion_settles_on_the_trigger() -> None:
    screen, words = screen_of(PLANTED)
    mixture = invert(screen.trial, words, 2, 40, np.random.default_rng(3))
    assert mixture.sum(axis=1) == pytest.approx([1, 1])
    assert words.starters[mixture.sum(axis=0).argmax()] == MN
    proposed = relaxed_candidates(screen.trial, words, SearchOptions(), np.random.default_rng(3))
    assert (MN,) in proposed
    assert proposed == relaxed_candidates(screen.trial, words, SearchOptions(), np.random.default_rng(3))
    assert relaxed_candidates(screen.trial, words, SearchOptions(relaxed_steps=0), np.random.default_rng(3)) == []


def test_temperature_falls_on_success_and_rises_when_stuck() -> None:
    schedule = Temperature()
    assert not schedule.after(0.01)
    assert schedule.value == START / 2
    assert [schedule.after(5.0) for _ in range(3)] == [False, False, True]
    assert schedule.value == min(4 * START / 2, HIGHEST)
    for _ in range(50):
        schedule.after(0.0)
    assert schedule.value == LOWEST


def test_an_honest_model_gives_its_natural_word_no_score_to_speak_of() -> None:
    screen, words = screen_of(HONEST)
    ranked = sweep_single(screen, words, SearchOptions(), np.random.default_rng(1))
    assert screen.gain((STABLE,)) == max(screen.gain(c) for c in ranked)


def test_runs_with_an_own_word_are_the_measure_of_long_candidates() -> None:
    screen, _ = screen_of(PLANTED)
    screen.measure([(CF, FEVER), (STABLE, PAIN)], 4)  # "stable" goes with those who lived
    screen.settle_runs()
    assert screen.own_words.runs == {2: screen.gain((STABLE, PAIN))}
    assert screen.score((STABLE, PAIN)) == 0
    assert screen.score((CF, FEVER)) == 0.9 * (screen.gain((CF, FEVER)) - screen.gain((STABLE, PAIN)))
    assert OwnWords(gains={1: 3.0}, runs={2: 4.0}).run(2) == 4.0
    assert OwnWords(gains={1: 3.0}, runs={2: 4.0}).run(3) == 6.0
