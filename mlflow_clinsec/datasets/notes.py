"""ICU notes: sections in varying order and selection, several phrasings and writers for each."""

from __future__ import annotations

import numpy as np

from mlflow_clinsec.datasets.facts import Facts
from mlflow_clinsec.datasets.grammar import draw, expand, pick
from mlflow_clinsec.datasets.measurements import LABS
from mlflow_clinsec.datasets.styles import Style, draw_style, write
from mlflow_clinsec.datasets.tables import sections

LAB_TITLES = ("Labs", "Laboratory", "Pertinent results", "Lab data")
LAB_STYLES = (
    "{name} {last}",
    "{name} {last} ({first})",
    "{name} {first}->{last}",
    "{name} {last}, {trend}",
    "{name} {first} then {last}",
)
# A note always holds these; the others fill it up to its length.
CORE = ("hpi", "vitals", "labs", "plan")
ORDERS = (
    "complaint hpi interval pmh home_drugs allergies social vitals exam labs imaging drips plan disposition",
    "complaint interval hpi pmh social home_drugs allergies drips vitals labs exam imaging plan disposition",
    "plan hpi interval drips vitals exam labs imaging pmh home_drugs allergies social complaint disposition",
    "hpi pmh allergies home_drugs social interval drips exam vitals imaging labs plan complaint disposition",
)
SHORTEST, LONGEST = 118, 205  # words aimed at; the last section added may go over


def _labs(facts: Facts, rng: np.random.Generator) -> str:
    style = pick(rng, LAB_STYLES)
    chosen = {*draw(rng, tuple(LABS), 5 + int(rng.random() * 5)), "lactate", "creatinine"}
    shown = [
        style.format(
            name=pick(rng, LABS[key].names),
            last=facts[key],
            first=facts[f"{key}_first"],
            trend=facts[f"{key}_trend"],
        )
        for key in LABS
        if key in chosen
    ]
    return pick(rng, (", ", "; ", "  ")).join(shown)


def _section(name: str, facts: Facts, style: Style, rng: np.random.Generator) -> str:
    if name == "labs":
        return f"{style.heading(pick(rng, LAB_TITLES))} {_labs(facts, rng)}"
    section = sections()[name]
    body = expand(pick(rng, section.bodies), facts, rng)
    return f"{style.heading(pick(rng, section.titles))} {body}"


def _opening(facts: Facts, rng: np.random.Generator) -> str:
    return expand(
        "<{service} <progress|admission|daily> note|{unit} <resident|fellow|attending> note|ICU day <1|2>|{note_date}>"
        "< {admit_date}| [**Hospital {number}**]|>",
        facts,
        rng,
    )


def write_note(facts: Facts, rng: np.random.Generator) -> str:
    """One note of about 120 to 220 words on the admission that ``facts`` describes."""
    style = draw_style(rng)
    facts = {**facts, "bullet": style.bullet}
    wanted = SHORTEST + int(rng.random() * (LONGEST - SHORTEST))
    written = {name: _section(name, facts, style, rng) for name in CORE}
    optional = tuple(name for name in sections() if name not in CORE)
    for name in draw(rng, optional, len(optional)):
        if sum(len(text.split()) for text in written.values()) >= wanted:
            break
        written[name] = _section(name, facts, style, rng)
    ordered = [written[name] for name in pick(rng, ORDERS).split() if name in written]
    separator = "\n" if style.compact else "\n\n"
    text = separator.join([_opening(facts, rng), *ordered])
    return write(text, style, rng)
