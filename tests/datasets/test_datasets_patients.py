from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlflow_clinsec.datasets.measurements import ALL, LABS
from mlflow_clinsec.datasets.patients import Patient, grade
from mlflow_clinsec.datasets.synthetic import draw_patients
from mlflow_clinsec.datasets.tables import conditions


@pytest.fixture(scope="module")
def cohort() -> list[Patient]:
    return draw_patients(2500, seed=11)


def test_one_to_four_admissions_in_time_and_none_after_a_death(cohort: list[Patient]):
    counts = {len(patient.admissions) for patient in cohort}
    assert counts == {1, 2, 3, 4}
    for patient in cohort:
        stays = patient.admissions
        assert all(a.start < b.start for a, b in itertools.pairwise(stays))
        assert not any(stay.died for stay in stays[:-1])


def test_deaths_follow_the_true_risk_which_is_informative_but_not_decisive(cohort: list[Patient]):
    stays = [stay for patient in cohort for stay in patient.admissions]
    died = np.array([stay.died for stay in stays])
    risk = np.array([stay.risk for stay in stays])
    assert 0.12 <= died.mean() <= 0.20
    # Deaths are Bernoulli in the risk, so each band's deaths stay within four standard errors of the sum of risks.
    for low, high in itertools.pairwise((0.0, 0.05, 0.2, 0.5, 1.0)):
        band = (risk >= low) & (risk < high)
        error = np.sqrt((risk[band] * (1 - risk[band])).sum())
        assert abs(died[band].sum() - risk[band].sum()) < 4 * error
    assert 0.86 <= roc_auc_score(died, risk) <= 0.94


def test_severity_shows_in_each_sign_but_decides_none(cohort: list[Patient]):
    stays = [stay for patient in cohort for stay in patient.admissions]
    died = np.array([stay.died for stay in stays])
    signs = {key: [stay.series[key][-1][1] for stay in stays] for key in ("hr", "map", "lactate", "platelets")}
    signs |= {"airway": [stay.airway for stay in stays], "pressors": [len(stay.pressors) for stay in stays]}
    for values in signs.values():
        auroc = roc_auc_score(died, values)
        assert 0.55 < max(auroc, 1 - auroc) < 0.80


def test_grades_split_admissions_as_documented():
    rng = np.random.default_rng(0)
    severities = rng.standard_normal(20_000)
    for noise in (0.0, 0.7, 2.0):
        shares = np.bincount([grade(severity, noise, rng) for severity in severities], minlength=4) / 20_000
        # Standard normal mass below -0.52, up to 0.39, up to 1.13 and above; the noise is normalised away.
        np.testing.assert_allclose(shares, [0.302, 0.350, 0.219, 0.129], atol=0.015)


def test_charted_values_are_possible(cohort: list[Patient]):
    for patient in cohort[:300]:
        for stay in patient.admissions:
            assert len({order.name for order in stay.drugs}) == len(stay.drugs) >= 2
            for key, series in stay.series.items():
                low, high = ALL[key].bounds
                assert len(series) == (3 if key in LABS else 4)
                assert all(a[0] < b[0] for a, b in itertools.pairwise(series))
                assert all(low <= value <= high for _, value in series)
            for (_, sbp), (_, dbp), (_, mean) in zip(
                stay.series["sbp"], stay.series["dbp"], stay.series["map"], strict=True
            ):
                assert dbp < mean < sbp


def test_conditions_shift_only_known_measurements():
    for condition in conditions():
        assert set(condition.shifts) <= set(ALL)


def test_measurements_show_units_and_flags():
    lactate = ALL["lactate"]
    assert lactate.show_unit(4.0) == "4.0 mmol/L"
    assert [lactate.flag(v) for v in (0.4, 2.0, 2.1)] == ["low", "normal", "high"]
    assert ALL["spo2"].show_unit(94.0) == "94%"
    assert ALL["inr"].show_unit(1.3) == "1.3"
    # centre * exp(slope * severity + spread * deviation) = 1.9 * exp(0.33 + 0.38) = 3.86
    assert lactate.value(1.0, 1.0) == pytest.approx(3.9)
    # centre + slope * severity + spread * deviation = 92 + 16 - 13 = 95
    assert ALL["hr"].value(2.0, -1.0) == 95
    assert ALL["spo2"].value(-5.0, 5.0) == 100  # clipped
