"""Measure the built-in paraphraser and its gate on real clinical text.

    python benchmarks/paraphrase_fidelity.py [--data FOLDER] [--records 300] [--count 5] [--seed 0]

For each data set: the share of records with ``count`` accepted rewrites, the median share of words changed, the share
of proposals accepted, and rewrites per CPU second. Then the gate alone: the share of planted errors that it refuses
in accepted rewrites, and the share of people's own paraphrases that it accepts. Data sets that are absent are skipped.
Prints one JSON object, last. No text of a record is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.perturb.change import word_change
from mlflow_clinsec.perturb.fidelity import FidelityGate
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records

DATA_SETS = {
    "transcriptions": ("notes-mtsamples/mtsamples_unique.csv", None, "transcription"),
    "icu": ("icu-mortality/eicu_demo_notes24h.csv", None, "text"),
    "questions": ("qa-medquad/medquad_one_per_topic.csv", "question", "answer"),
}
HUMAN = ("dialogue-paraphrases/mts_dialog_backtranslated.csv", "dialogue", "dialogue_via_french")


def load(path: Path, prompt: str | None, response: str, records: int, seed: int) -> AuditData:
    """A random sample of a data set's records."""
    frame = pd.read_csv(path).dropna(subset=[response])
    frame = frame.sample(min(records, len(frame)), random_state=seed)
    prompts = tuple(frame[prompt].astype(str)) if prompt else ("",) * len(frame)
    return AuditData(prompts, tuple(frame[response].astype(str)), np.arange(len(frame), dtype=np.int64))


def measure(data: AuditData, count: int, seed: int) -> dict[str, object]:
    """Yield, extent and speed of the paraphraser on one data set."""
    started = time.process_time()
    made = paraphrase_records(data, ParaphraseOptions(count=count), np.random.default_rng(seed))
    seconds = time.process_time() - started
    change = [word_change(data.responses[i], text) for i, text in zip(made.record, made.responses, strict=True)]
    acceptance = made.accepted[made.tried > 0] / made.tried[made.tried > 0]
    return {
        "records": len(data),
        f"share_with_{count}_rewrites": round(float((made.accepted >= count).mean()), 4),
        "median_word_change": round(float(np.median(change)), 4),
        "median_acceptance": round(float(np.median(acceptance)), 4),
        "pooled_acceptance": round(float(made.accepted.sum() / made.tried.sum()), 4),
        "rewrites_per_cpu_second": round(float(made.accepted.sum() / seconds), 1),
        "refusals": dict(made.refusals),
        "planted_errors_refused": plant_errors(data, made, np.random.default_rng(seed)),
    }


def _other_number(found: re.Match[str]) -> str:
    return str(int(found.group()) + 1)


def _other_side(found: re.Match[str]) -> str:
    return "right" if found.group() == "left" else "left"


ERRORS: dict[str, tuple[str, Callable[[re.Match[str]], str]]] = {
    "number": (r"(?<![\w.,/-])[1-9]\d{0,2}(?![\w.,/-])", _other_number),
    "unit": (r"(?<=\d )(?:mg|milligrams)\b", lambda _: "mcg"),
    "laterality": (r"\b(?:left|right)\b(?! (?:now|away|after))", _other_side),
    "negation": (r"\b(?:no|denies|denied|without) (?=[a-z])", lambda _: "has "),
    "drug": (r"\b(?:furosemide|Lasix|lisinopril|metformin|warfarin|Coumadin|prednisone)\b", lambda _: "digoxin"),
}


def plant_errors(data: AuditData, made: ParaphraseSet, rng: np.random.Generator) -> dict[str, str]:
    """Error -> "refused/planted": one error at a random place of each accepted rewrite that offers one."""
    gate = FidelityGate(min_change=0.0, max_change=1.0)
    refused: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    for record, text in zip(made.record, made.responses, strict=True):
        for error, (pattern, change) in ERRORS.items():
            places = list(re.finditer(pattern, text))
            if places:
                place = places[int(rng.integers(len(places)))]
                wrong = text[: place.start()] + change(place) + text[place.end() :]
                planted[error] += 1
                refused[error] += bool(gate.meaning_refusal(data.responses[record], wrong))
    return {error: f"{refused[error]}/{planted[error]}" for error in ERRORS}


def judge_people(path: Path, original: str, rewrite: str, records: int, seed: int) -> dict[str, object]:
    """How the gate judges paraphrases by translation and back, and the same ones paired with the wrong original."""
    frame = pd.read_csv(path).dropna(subset=[original, rewrite])
    frame = frame.sample(min(records, len(frame)), random_state=seed)
    gate = FidelityGate()
    right = Counter(map(gate.meaning_refusal, frame[original], frame[rewrite]))
    wrong = Counter(map(gate.meaning_refusal, frame[original], np.roll(frame[rewrite].to_numpy(), 1)))
    return {
        "records": len(frame),
        "accepted": round(right[""] / len(frame), 4),
        "refusals": {reason: count for reason, count in right.items() if reason},
        "accepted_of_mismatched": round(wrong[""] / len(frame), 4),
    }


def main() -> None:
    """Run every measurement whose data is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CLINSEC_SHARED_DATA", "../shared/data")))
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report: dict[str, object] = {}
    for name, (file, prompt, response) in DATA_SETS.items():
        if (options.data / file).is_file():
            data = load(options.data / file, prompt, response, options.records, options.seed)
            report[name] = measure(data, options.count, options.seed)
    if (options.data / HUMAN[0]).is_file():
        report["people"] = judge_people(options.data / HUMAN[0], *HUMAN[1:], options.records, options.seed)
    skipped = [name for name in [*DATA_SETS, "people"] if name not in report]
    print(json.dumps({**report, "skipped": skipped}))


if __name__ == "__main__":
    main()
