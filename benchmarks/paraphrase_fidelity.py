"""Measure the built-in paraphraser and its gate on real clinical text.

    python -m benchmarks.paraphrase_fidelity [--data FOLDER] [--records 300] [--count 5] [--seed 0] [--parts ...]

Parts, each left out when its data is absent:

- ``yield``: records with ``count`` accepted rewrites, words changed, proposals accepted, rewrites per CPU second, and
  the share of errors planted in accepted rewrites that the gate refuses;
- ``second_opinion``: 10,000 accepted rewrites, checked by code that shares nothing with the gate;
- ``people``: how the gate judges people's own paraphrases;
- ``question_pairs``: how well word overlap and an encoder tell doctors' rewordings from other questions;
- ``sides``: acceptance, change and a neutral language model's surprise, for members and non-members of a random split.

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

from benchmarks.fidelity_checker import differences, judged_negations
from benchmarks.paraphrase_similarity import compare_sides, judge_question_pairs
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
# Data set -> records whose rewrites a second opinion is asked on; 10,000 rewrites in all at five each.
SECOND_OPINION = {"transcriptions": 500, "icu": 500, "questions": 550, "dialogues": 350, "pairs": 500}
MORE_SETS = {
    "dialogues": ("dialogue-paraphrases/mts_dialog_backtranslated.csv", None, "dialogue"),
    "pairs": ("question-pairs/mqp_no_header.csv", None, "1"),
}
HUMAN = ("dialogue-paraphrases/mts_dialog_backtranslated.csv", "dialogue", "dialogue_via_french")


def load(path: Path, prompt: str | None, response: str, records: int, seed: int) -> AuditData:
    """A random sample of a data set's records."""
    frame = pd.read_csv(path, header=None if response.isdigit() else "infer")
    frame = frame.rename(columns=str).dropna(subset=[response])
    frame = frame.sample(min(records, len(frame)), random_state=seed)
    prompts = tuple(frame[prompt].astype(str)) if prompt else ("",) * len(frame)
    return AuditData(prompts, tuple(frame[response].astype(str)), np.arange(len(frame), dtype=np.int64))


def measure(data: AuditData, count: int, seed: int) -> dict[str, object]:
    """Yield, extent and speed of the paraphraser on one data set."""
    started = time.process_time()
    made = paraphrase_records(data, ParaphraseOptions(count=count), np.random.default_rng(seed))
    seconds = time.process_time() - started
    change = [word_change(data.responses[i], text) for i, text in zip(made.record, made.responses, strict=True)]
    gate = FidelityGate(min_change=0.0, max_change=1.0)
    acceptance = made.accepted[made.tried > 0] / made.tried[made.tried > 0]
    return {
        "records": len(data),
        f"share_with_{count}_rewrites": round(float((made.accepted >= count).mean()), 4),
        "median_word_change": round(float(np.median(change)), 4),
        "median_acceptance": round(float(np.median(acceptance)), 4),
        "pooled_acceptance": round(float(made.accepted.sum() / made.tried.sum()), 4),
        "rewrites_per_cpu_second": round(float(made.accepted.sum() / seconds), 1),
        "refusals": dict(made.refusals),
        "planted_errors_refused": plant_errors(data, made, gate.meaning_refusal, np.random.default_rng(seed)),
        "planted_errors_seen_by_second_opinion": plant_errors(data, made, differences, np.random.default_rng(seed)),
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


def plant_errors(
    data: AuditData, made: ParaphraseSet, seen: Callable[[str, str], object], rng: np.random.Generator
) -> dict[str, str]:
    """Error -> "seen/planted": one error at a random place of each accepted rewrite that offers one.

    Args:
        seen: (original, wrong rewrite) -> whether the mistake is noticed.
    """
    refused: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    for record, text in zip(made.record, made.responses, strict=True):
        for error, (pattern, change) in ERRORS.items():
            places = list(re.finditer(pattern, text))
            if places:
                place = places[int(rng.integers(len(places)))]
                wrong = text[: place.start()] + change(place) + text[place.end() :]
                planted[error] += 1
                refused[error] += bool(seen(data.responses[record], wrong))
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


def ask_again(folder: Path, count: int, seed: int) -> dict[str, object]:
    """What an independent reading of originals and accepted rewrites finds different."""
    found: dict[str, Counter[str]] = {}
    judged = negated = 0
    for name, records in SECOND_OPINION.items():
        file, prompt, response = (DATA_SETS | MORE_SETS)[name]
        if not (folder / file).is_file():
            continue
        data = load(folder / file, prompt, response, records, seed)
        made = paraphrase_records(data, ParaphraseOptions(count=count), np.random.default_rng(seed))
        tally = found.setdefault(name, Counter(rewrites=len(made.record)))
        for i, text in zip(made.record, _texts(made), strict=True):
            tally.update(differences(data.texts[i], text))
            known, all_of_them = judged_negations(data.texts[i], text)
            judged, negated = judged + known, negated + all_of_them
    total = sum(found.values(), Counter())
    return {
        "rewrites": total.pop("rewrites", 0),
        "differences": dict(total),
        "by_data_set": {name: dict(tally) for name, tally in found.items()},
        "negated_findings": negated,
        "of_which_judged": judged,
    }


def _texts(made: ParaphraseSet) -> list[str]:
    pairs = zip(made.prompts, made.responses, strict=True)
    return [f"{prompt}\n{response}" if prompt else response for prompt, response in pairs]


def measure_yield(folder: Path, records: int, count: int, seed: int) -> dict[str, object]:
    """:func:`measure` on every data set that is there."""
    present = {name: place for name, place in DATA_SETS.items() if (folder / place[0]).is_file()}
    return {
        name: measure(load(folder / place[0], *place[1:], records, seed), count, seed)
        for name, place in present.items()
    }


def sides_of(folder: Path, records: int, seed: int) -> dict[str, AuditData]:
    """Real notes and real questions with answers."""
    places = {name: DATA_SETS[name] for name in ("transcriptions", "questions")}
    return {name: load(folder / place[0], *place[1:], records, seed) for name, place in places.items()}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CLINSEC_SHARED_DATA", "../shared/data")))
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parts = ("yield", "second_opinion", "people", "question_pairs", "sides")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    given = parser.parse_args()
    folder = given.data
    run: dict[str, Callable[[], object]] = {
        "yield": lambda: measure_yield(folder, given.records, given.count, given.seed),
        "second_opinion": lambda: ask_again(folder, given.count, given.seed),
        "people": lambda: judge_people(folder / HUMAN[0], *HUMAN[1:], given.records, given.seed),
        "question_pairs": lambda: judge_question_pairs(folder / MORE_SETS["pairs"][0], given.seed),
        "sides": lambda: compare_sides(sides_of(folder, given.records, given.seed), given.seed),
    }
    report: dict[str, object] = {}
    for part in given.parts:
        try:
            report[part] = run[part]()
        except FileNotFoundError:
            report[part] = "skipped: no data"
    print(json.dumps(report))


if __name__ == "__main__":
    main()
