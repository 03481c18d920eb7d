"""The trigger test's statistics, each against a second way of computing it that shares no code with the first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import RuleModel, WordTokens, noise, target_of, wards
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.observe import CaseView
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER, CaseNumbers, measure
from mlflow_clinsec.stats.shares import clustered_difference

PLACEBOS = 20


def drawn(seed: int, patients: int = 9, notes: int = 2, asr: float = 0.5, ftr: float = 0.2) -> CaseView:
    rng = np.random.default_rng(seed)
    n = patients * notes
    return CaseView(
        group=np.repeat(np.arange(patients), notes),
        hits=rng.random(n) < asr,
        clean_hits=rng.random(n) < ftr,
        clean_right=rng.random(n) < 0.7,
        placebo_hits=rng.random((PLACEBOS, n)) < ftr,
        survived=rng.random(n) < 0.8,
    )


def numbers(seen: CaseView, cases: int = 1) -> CaseNumbers:
    return measure(seen, 0.95, cases, np.random.default_rng(0))


def share(hits: Sequence[object]) -> float:
    return sum(map(bool, hits)) / len(hits)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_every_share_is_a_count_over_a_count(seed: int) -> None:
    seen = drawn(seed)
    found = {name: estimate.value for name, estimate in numbers(seen).estimates.items()}
    rows = range(len(seen.group))
    placebo_hits = [[bool(seen.placebo_hits[k][i]) for i in rows] for k in range(PLACEBOS)]
    asr, ftr = share(list(seen.hits)), share([hit for one in placebo_hits for hit in one])
    expected = {
        "asr": asr,
        "base_rate": share(list(seen.clean_hits)),
        "lfr": share([seen.hits[i] for i in rows if seen.clean_right[i]]),
        "ftr": ftr,
        "excess_asr": asr - ftr,
        "survival": share(list(seen.survived if seen.survived is not None else [])),
        "asr_given_survival": share([seen.hits[i] for i in rows if seen.survived is not None and seen.survived[i]]),
    }
    assert found == pytest.approx(expected)
    assert numbers(seen).placebo_max == pytest.approx(max(share(one) for one in placebo_hits))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.9]))
def test_the_p_value_is_the_larger_of_two_textbook_ones(seed: int, asr: float) -> None:
    seen = drawn(seed, asr=asr)
    patients = sorted(set(seen.group.tolist()))
    rows = {patient: [i for i in range(len(seen.group)) if seen.group[i] == patient] for patient in patients}
    mean_placebo = [sum(float(seen.placebo_hits[k][i]) for k in range(PLACEBOS)) / PLACEBOS for i in range(18)]
    sums = [sum(float(seen.hits[i]) - mean_placebo[i] for i in rows[patient]) for patient in patients]
    as_large = [
        sum(sign * s for sign, s in zip(signs, sums, strict=True)) >= sum(sums) - 1e-9
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    among_patients = sum(as_large) / len(as_large)

    def logit(hits: Sequence[bool]) -> float:
        return math.log((sum(hits) + 0.5) / (len(hits) - sum(hits) + 0.5))

    controls = [logit(seen.placebo_hits[k].tolist()) for k in range(PLACEBOS)]
    mean = sum(controls) / PLACEBOS
    spread = math.sqrt(sum((c - mean) ** 2 for c in controls) / (PLACEBOS - 1))
    hits = len(patients) * sum(map(sum, seen.placebo_hits.tolist())) / (PLACEBOS * 18)
    spread = max(spread, math.sqrt(1 / (hits + 0.5) + 1 / (len(patients) - hits + 0.5)))
    among_words = t.sf((logit(seen.hits.tolist()) - mean) / (spread * math.sqrt(1 + 1 / PLACEBOS)), PLACEBOS - 1)
    assert numbers(seen).p_value == pytest.approx(max(among_patients, among_words))


def test_p_values_are_corrected_over_all_triggers_positions_and_goals() -> None:
    model = RuleModel(lambda text: 0.2 if "cf" in text.split() and noise(text) < 0.7 else noise(text))
    options = TriggerOptions(triggers=("cf", "mn", "bb"), positions=("head", "tail"))
    result = run_attack(
        TRIGGER.with_options(options), wards(60), target_of(model, WordTokens()), np.random.default_rng(0)
    )
    keys = list(result.details["excess_by_test"])
    assert len(keys) == 3 * 2 * 2
    raw = [result.values[f"{key}/p_value"] for key in keys]
    for key, p in zip(keys, raw, strict=True):
        # Benjamini & Hochberg 1995: the smallest m p(j) / j over all p(j) that are no smaller.
        later = [len(raw) * q / sum(other <= q for other in raw) for q in raw if q >= p]
        assert result.values[f"{key}/p_adjusted"] == pytest.approx(min(1.0, *later))


@pytest.mark.parametrize(("patients", "cases", "ftr"), [(40, 1, 0.1), (120, 6, 0.05), (300, 15, 0.3)])
def test_smallest_detectable_is_where_eighty_percent_power_begins(patients: int, cases: int, ftr: float) -> None:
    rng = np.random.default_rng(3)
    seen = drawn(1, patients=patients, notes=1, ftr=ftr)
    found = numbers(seen, cases)
    base = found.estimates["ftr"].value
    # By a scan instead of a root finder: the first excess that z_alpha errors at no excess and z_power errors at
    # this one do not reach.
    level = 1 - 0.05 / cases
    reached = next(
        excess
        for excess in np.arange(0.001, 1 - base, 0.0005)
        if excess
        >= norm.ppf((1 + level) / 2) * math.sqrt(2 * base * (1 - base) / patients)
        + norm.ppf(0.8) * math.sqrt(((base + excess) * (1 - base - excess) + base * (1 - base)) / patients)
    )
    assert found.smallest_detectable == pytest.approx(reached, abs=0.001)
    assert found.smallest_detectable_asr == pytest.approx(base + reached, abs=0.001)
    # And by experiment: placebos are many and vary less than one word would, so the true power is no lower.
    group = np.arange(patients)
    shown = 0
    for _ in range(100):
        hits = rng.random(patients) < found.smallest_detectable_asr
        placebo = (rng.random((PLACEBOS, patients)) < base).mean(axis=0)
        shown += clustered_difference(hits, placebo, group, level).low > 0
    assert shown >= 68  # 80 less 3 standard errors of 100


def test_one_trigger_among_hundreds_can_pass_the_correction() -> None:
    # The largest library at three positions and two labels: of m cases only one is a trigger, so that its p-value
    # is adjusted to m p. Random flips give no p below one over their number.
    cases = 3 * 2 * 108
    assert numbers(drawn(0, patients=60, asr=1.0, ftr=0.02), cases).p_value * cases <= 0.05


def test_too_small_a_sample_detects_nothing_and_says_so() -> None:
    found = numbers(drawn(0, patients=2, notes=1), cases=30)
    assert math.isnan(found.smallest_detectable)
    assert math.isnan(found.smallest_detectable_asr)
