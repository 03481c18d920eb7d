"""Question-answer pairs on an admission, in the manner of instruction data for clinical question answering.

A prompt lists charted events and asks about them or about the note; the answer holds values, times and drugs of
this patient, so that having trained on it can be told from the likelihood of the answer's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.datasets.facts import Facts, clock, order_text, trend_word
from mlflow_clinsec.datasets.grammar import capitalize_sentences, draw, expand, pick
from mlflow_clinsec.datasets.measurements import ALL, LABS, VITALS
from mlflow_clinsec.datasets.patients import Admission
from mlflow_clinsec.datasets.tables import QuestionForm, prompt_phrases, question_forms

QUESTIONS = {"event": 2, "note": 1}  # how many of each kind per admission
SHORT_ANSWER = 28  # words; a shorter answer is closed with one more finding
FEWEST_EVENTS, MOST_EVENTS = 7, 9


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
    measured = [(hours, ALL[key], value) for key, series in admission.series.items() for hours, value in series]
    count = FEWEST_EVENTS + int(rng.random() * (MOST_EVENTS - FEWEST_EVENTS + 1))
    timed = [
        (hours, f"{pick(rng, kind.names)} {kind.show_unit(value)}")
        for hours, kind, value in draw(rng, measured, count - 2)
    ]
    orders = draw(rng, admission.drugs + admission.pressors, 2)
    timed += [(order.hours, f"{order_text(order)} started") for order in orders]
    return [f"{clock(admission, hours)} {text}" for hours, text in sorted(timed)]


def _pair(
    kind: str, form: QuestionForm, facts: Facts, admission: Admission, rng: np.random.Generator
) -> QuestionAnswer:
    facts = {**facts, **_focus_facts(admission, rng)}
    context = expand(pick(rng, prompt_phrases("contexts")), facts, rng)
    listing = pick(rng, prompt_phrases("listings"))
    question = expand(pick(rng, form.questions), facts, rng)
    answer = expand(pick(rng, form.answers), facts, rng)
    if len(answer.split()) < SHORT_ANSWER:
        answer += " " + expand(pick(rng, prompt_phrases("closings")), facts, rng)
    prompt = "\n".join([context, listing, *_events(admission, rng), f"Question: {question}"])
    return QuestionAnswer(kind, prompt, capitalize_sentences(answer))


def ask(admission: Admission, facts: Facts, rng: np.random.Generator) -> list[QuestionAnswer]:
    """``QUESTIONS`` on one admission, each of another form."""
    return [
        _pair(kind, form, facts, admission, rng)
        for kind, count in QUESTIONS.items()
        for form in draw(rng, question_forms(kind), count)
    ]
