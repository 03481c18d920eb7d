"""Privacy accounting of DP-SGD: how much noise a budget asks for, and what a run has spent.

By Opacus' Renyi accountant for the Poisson-subsampled Gaussian mechanism (Mironov 2019, arXiv 1908.10530).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.training.options import DPOptions


@dataclass(frozen=True)
class Guarantee:
    """(epsilon, delta) of one run, and what it rests on.

    Attributes:
        epsilon, delta: for neighbouring training sets that differ by one unit, added or removed.
        noise_multiplier: standard deviation of the noise over the clipping bound.
        sample_rate: chance of each unit to take part in a step.
        steps: number of steps.
        expected_units: units in a step on average.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    sample_rate: float
    steps: int
    expected_units: float


def require_opacus() -> None:
    """Raise a ConfigError when the ``dp`` extra is not installed."""
    if find_spec("opacus") is None:
        raise ConfigError("differentially private training needs Opacus: pip install 'mlflow-clinsec[dp]'")


def plan_guarantee(n_units: int, options: DPOptions) -> Guarantee:
    """Noise and guarantee of a run over ``n_units`` units.

    Raises:
        ConfigError: no noise reaches ``target_epsilon``.
    """
    rate = min(1.0, options.batch_size / n_units)
    steps = math.ceil(options.epochs / rate)
    delta = options.delta or 0.1 / n_units
    noise = options.noise_multiplier or noise_for(options.target_epsilon or math.nan, delta, rate, steps)
    return Guarantee(epsilon_spent(noise, rate, steps, delta), delta, noise, rate, steps, rate * n_units)


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The smallest noise multiplier that keeps to ``epsilon``, to within Opacus' tolerance of 0.01."""
    from opacus.accountants.utils import get_noise_multiplier

    try:
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
            )
        )
    except ValueError:
        raise ConfigError(f"target_epsilon: {epsilon} is too low for {steps} steps; train fewer epochs") from None


def epsilon_spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """Epsilon after ``steps`` steps."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    return float(accountant.get_epsilon(delta))
