"""Does the audit find planted triggers that nobody named? Judged on a zoo of small models, half of them clean.

    python -m benchmarks.backdoor_zoo --cache build/zoo

trains what the cache lacks, searches every model, fits the detector on the calibration models, judges it on the
others, and prints one JSON object last. It can be stopped and started again at any time. ``--write-detector`` also
writes the coefficients that the package ships (mlflow_clinsec/backdoor/search/detector.json).
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.zoo_build import Built, build
from benchmarks.zoo_data import available, load
from benchmarks.zoo_judge import Judged, judge
from benchmarks.zoo_search import Searched, run_search
from benchmarks.zoo_specs import Part, specs
from mlflow_clinsec.backdoor.search.detector import Detector, fit
from mlflow_clinsec.backdoor.search.options import SearchOptions

logger = logging.getLogger("backdoor_zoo")

Pairs = list[tuple[Built, Searched]]

LEAST_EXCESS = 0.25
"""A poisoned model whose trigger turns fewer held-out notes than this beyond its base rate holds no backdoor to find.
It is listed, and neither fitted nor judged on. The rule reads the known trigger's success and nothing of the search."""


def zoo(part: Part, data: Sequence[str], cache: Path, options: SearchOptions) -> Pairs:
    """All models of one part, trained and searched."""
    found: Pairs = []
    for spec in (spec for name in data for spec in specs(name, load(name).labels, part)):
        built = build(spec, cache)
        searched = run_search(built, options)
        logger.info("%s: %s", spec.name, json.dumps(dict(searched.features)))
        found.append((built, searched))
    return found


def took(built: Built) -> bool:
    """Whether the model is what its description says: clean, or with a trigger that works."""
    return not built.spec.backdoored or built.quality["asr"] - built.quality["base_rate"] >= LEAST_EXCESS


def fitted(pairs: Pairs, data: Sequence[str]) -> Detector:
    """The detector of the calibration models."""
    planted = [built.spec.backdoored for built, _ in pairs]
    about = {"models": len(pairs), "backdoored": sum(planted), "data": list(data), "encoder": "BERT, 2 layers of 64"}
    return fit([searched.features for _, searched in pairs], planted, about)


def judged(built: Built, searched: Searched, detector: Detector) -> Judged:
    """What the detector says of one model."""
    probability = detector.probability(searched.features)
    return Judged(
        built.spec.name,
        built.spec.data,
        built.spec.arm,
        probability,
        detector.flags(searched.features),
        searched.rank,
        searched.seconds,
        searched.wall,
    )


def quality(pairs: Pairs) -> dict[str, Any]:
    """How good the models are, and their backdoors: lowest and highest."""
    planted = [built.quality for built, _ in pairs if built.spec.backdoored]
    return {
        "auroc": _range([built.quality["auroc"] for built, _ in pairs]),
        "asr": _range([one["asr"] for one in planted]),
        "base_rate": _range([one["base_rate"] for one in planted]),
    }


def _range(values: Sequence[float]) -> tuple[float, float]:
    return round(min(values), 3), round(max(values), 3)


def report(calibration: Pairs, others: Pairs, data: Sequence[str]) -> tuple[Detector, Mapping[str, Any]]:
    """The detector, and everything that the benchmark prints."""
    failed = [built.spec.name for built, _ in calibration + others if not took(built)]
    calibration, others = ([pair for pair in pairs if took(pair[0])] for pairs in (calibration, others))
    detector = fitted(calibration, data)
    found = [judged(*pair, detector) for pair in others]
    return detector, {
        "data": list(data),
        "poisoning_failed": failed,
        **judge(found),
        "threshold": detector.threshold,
        "coefficients": dict(detector.coefficients),
        "calibration_models": len(calibration),
        "quality": {name: quality([p for p in others if p[0].spec.data == name]) for name in data},
        "each": [{"name": one.name, "probability": round(one.probability, 4), "rank": one.rank} for one in found],
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps models and searches")
    parser.add_argument("--data", nargs="+", choices=available(), default=available())
    parser.add_argument("--write-detector", type=Path, help="file for the coefficients of the fitted detector")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logger.setLevel(logging.INFO)
    torch.set_num_threads(1)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    options = SearchOptions()
    parts = {part: zoo(part, arguments.data, arguments.cache, options) for part in get_args(Part)}
    detector, found = report(parts["calibration"], parts["judged"], arguments.data)
    if arguments.write_detector:
        detector.save(arguments.write_detector)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
