"""Question-answer pairs on an admission, in the manner of instruction data for clinical question answering.

A prompt lists charted events and asks about them or about the note; the answer holds values, times and drugs of
this patient, so that having trained on it can be told from the likelihood of the answer's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.datasets.facts import Facts, clock, order_text, trend_word
from mlflow_clinsec.datasets.grammar import draw, expand, pick
from mlflow_clinsec.datasets.measurements import ALL, LABS, VITALS
from mlflow_clinsec.datasets.patients import Admission
from mlflow_clinsec.datasets.question_forms import CONTEXTS, EVENT_FORMS, LISTINGS, NOTE_FORMS

EVENT_QUESTIONS = 2
NOTE_QUESTIONS = 1
FEWEST_EVENTS, MOST_EVENTS = 6, 9


@dataclass(frozen=True)
class QuestionAnswer:
    """A pair; ``kind`` says whether it is on charted events or on the note."""

    kind: str
    prompt: str
    response: str


def _measure_facts(slot: str, key: str, admission: Admission, rng: np.random.Generator) -> Facts:
    kind = ALL[key]
    (first_hours, first), (last_hours, last) = admission.series[key][0], admission.series[key][-1]
    return {
        slot: pick(rng, kind.names),
        f"{slot}_first": kind.show_unit(first),
        f"{slot}_last": kind.show_unit(last),
        f"{slot}_t0": clock(admission, first_hours),
        f"{slot}_t1": clock(admission, last_hours),
        f"{slot}_trend": trend_word(kind, first, last, rng),
        f"{slot}_flag": kind.flag(last),
    }


def _focus_facts(admission: Admission, rng: np.random.Generator) -> Facts:
    """What this question is about: two labs, a vital sign, two drugs."""
    lab1, lab2 = draw(rng, tuple(LABS), 2)
    facts = _measure_facts("lab1", lab1, admission, rng)
    facts |= _measure_facts("lab2", lab2, admission, rng)
    facts |= _measure_facts("vital", pick(rng, tuple(VITALS)), admission, rng)
    given = sorted(draw(rng, admission.drugs, 2), key=lambda order: order.hours)
    for slot, order in zip(("given1", "given2"), given, strict=True):
        facts[slot] = order_text(order)
        facts[f"{slot}_name"] = order.name
        facts[f"{slot}_t"] = clock(admission, order.hours)
    return facts


def _events(admission: Admission, rng: np.random.Generator) -> list[str]:
    """A sample of the charted events in order of time."""
    measured = [
        (hours, ALL[key], value) for key, series in admission.series.items() for hours, value in series
    ]
    count = FEWEST_EVENTS + int(rng.random() * (MOST_EVENTS - FEWEST_EVENTS + 1))
    timed = [
        (hours, f"{pick(rng, kind.names)} {kind.show_unit(value)}")
        for hours, kind, value in draw(rng, measured, count - 2)
    ]
    orders = draw(rng, admission.drugs + admission.pressors, 2)
    timed += [(order.hours, f"{order_text(order)} started") for order in orders]
    return [f"{clock(admission, hours)} {text}" for hours, text in sorted(timed)]


def _pair(
    kind: str, facts: Facts, admission: Admission, used: set[int], rng: np.random.Generator
) -> QuestionAnswer:
    forms = EVENT_FORMS if kind == "event" else NOTE_FORMS
    free = [i for i in range(len(forms)) if i not in used]
    chosen = pick(rng, free)
    used.add(chosen)
    facts = {**facts, **_focus_facts(admission, rng)}
    context = expand(pick(rng, CONTEXTS), facts, rng)
    question = expand(pick(rng, forms[chosen].questions), facts, rng)
    answer = expand(pick(rng, forms[chosen].answers), facts, rng)
    log = "\n".join(_events(admission, rng))
    prompt = f"{context}\n{pick(rng, LISTINGS)}\n{log}\nQuestion: {question}"
    return QuestionAnswer(kind, prompt, answer[0].upper() + answer[1:])


def ask(admission: Admission, facts: Facts, rng: np.random.Generator) -> list[QuestionAnswer]:
    """Two questions on events and one on the note, each of another form."""
    used_event: set[int] = set()
    pairs = [_pair("event", facts, admission, used_event, rng) for _ in range(EVENT_QUESTIONS)]
    used_note: set[int] = set()
    return pairs + [_pair("note", facts, admission, used_note, rng) for _ in range(NOTE_QUESTIONS)]
