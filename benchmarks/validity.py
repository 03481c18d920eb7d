"""Do the numbers hold? False alarms on audits where nothing leaks, coverage of intervals, agreement with others.

    python -m benchmarks.validity --runs 500 --seed 0

prints Markdown tables (docs/validity.md shows them) and, last, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.validity_agreement import Agreement, agreements
from benchmarks.validity_membership import audits, intervals, learned_attacks, many_attacks, tpr_limit
from benchmarks.validity_others import canaries, privacy_bounds, triggers
from benchmarks.validity_rates import Rate

PARTS = (audits, tpr_limit, many_attacks, learned_attacks, privacy_bounds, canaries, triggers, intervals)


def measure(runs: int, seed: int) -> tuple[list[Rate], list[Agreement]]:
    """All rates and agreements. Each part has a generator of its own, so that adding one changes no other."""
    rates = [rate for part in PARTS for rate in part(runs, _generator(seed, part.__name__))]
    return rates, list(agreements(_generator(seed, "agreements")))


def report(rates: list[Rate], found: list[Agreement], **about: Any) -> dict[str, Any]:
    """The JSON object: whether every promise was kept, what was not, and all figures."""
    return {
        **about,
        "holds": all(rate.holds for rate in rates) and all(one.as_json()["agrees"] for one in found),
        "broken": [f"{rate.what}, {rate.case}: {rate.value:.3f}" for rate in rates if not rate.holds],
        "cautious": [f"{rate.what}, {rate.case}: {rate.value:.3f}" for rate in rates if not rate.exact],
        "false_alarms": [rate.as_json() for rate in rates if rate.kind == "false alarm"],
        "coverage": [rate.as_json() for rate in rates if rate.kind == "coverage"],
        "agreement": [one.as_json() for one in found],
    }


def tables(rates: list[Rate], found: list[Agreement]) -> str:
    """The same as Markdown."""
    alarms = [(r.what, r.case, f"{r.value:.3f}", _mark(r)) for r in rates if r.kind == "false alarm"]
    covered = [(r.what, r.case, f"{r.value:.3f}", f"{r.above:.3f}", _mark(r)) for r in rates if r.kind == "coverage"]
    agreed = [(a.number, a.other, str(a.trials), a.reason or f"{a.largest:.1e}") for a in found]
    return "\n\n".join(
        [
            _table(("number", "simulated audits", "false alarms", ""), alarms),
            _table(("interval", "simulated audits", "holds the truth", "lies above it", ""), covered),
            _table(("number", "other implementation", "trials", "largest difference"), agreed),
        ]
    )


def _mark(rate: Rate) -> str:
    return ("" if rate.exact else "cautious") if rate.holds else "**broken**"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *lines])


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def main() -> None:
    """Measure, print tables, and last the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="simulated audits per case (at least 500 to conclude)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    clock = time.process_time()
    rates, found = measure(options.runs, options.seed)
    print(tables(rates, found), end="\n\n")
    about = {"runs": options.runs, "seed": options.seed, "cpu_seconds": round(time.process_time() - clock, 1)}
    print(json.dumps(report(rates, found, **about), allow_nan=False))


if __name__ == "__main__":
    main()
