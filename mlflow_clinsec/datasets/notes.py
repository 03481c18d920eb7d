"""ICU notes: sections in varying order and selection, several phrasings and writers for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.datasets.facts import Facts
from mlflow_clinsec.datasets.grammar import draw, expand, pick
from mlflow_clinsec.datasets.measurements import LABS
from mlflow_clinsec.datasets.styles import Style, draw_style, write


@dataclass(frozen=True)
class Section:
    """Titles and phrasings of one section of a note."""

    titles: tuple[str, ...]
    bodies: tuple[str, ...]


SECTIONS: dict[str, Section] = {
    "complaint": Section(
        ("Chief Complaint", "CC", "Reason for admission"),
        ("{complaint}", "{complaint} x {days}", "{complaint}, {symptom1}", "{complaint}<, r/o|;> {diagnosis}"),
    ),
    "hpi": Section(
        ("HPI", "History of Present Illness", "Present illness", "Summary"),
        (
            "{age} year old {sex} with <history of |>{pmh} <presents|admitted|here> with {diagnosis}. <Had|Reports|Describes> {symptoms} for {days}. {arrival}. <In the ED|On arrival> HR {hr_first}, BP {sbp_first}/{dbp_first}, <sat|SpO2> {spo2_first}%. <Given|Received|Started on> {drug1}. <Now|Currently> {airway}, {support}.",
            "{age}{sex_letter} with {pmh}, {arrival} on {admit_date}. <Family|EMS|Patient> <reports|notes|describes> {symptom1} and {symptom2} over {days}. <Initial|First> lactate {lactate_first}, <WBC|white count> {wbc_first}. <Admitted|Taken> to the {unit} for {diagnosis}, {airway}, <{support}|treated with {drug1}>.",
            "{title} [**Known lastname {number2}**] is a {age} year old {sex}, {occupation}, with {pmh} who developed {symptom1} {days} before <admission|arrival>, then {symptom2}. {arrival}. {imaging1}. <Felt to have|Diagnosis of|Working diagnosis> {diagnosis}. <Transferred|Moved> to {unit} {airway} and {support}.",
            "<This is a|Briefly, a> {age} yo {sex_letter} ({previous}) with {pmh} <presenting|coming in> with {complaint}. Over the <past|last> {days}: {symptoms}. <ED course|In the ED>: <T|temp> {temp_first}, MAP {map_first}, <received|got> {drug1} and {drug2}. <At present|Now> {appearance}, {airway}.",
            "{arrival} on {admit_date} with {symptoms}. {He} is a {age} year old {occupation} with {pmh}. <Found|Noted> to have {diagnosis}; {imaging1}. <Underwent|Had> {procedure}. <Arrives|Came> to the {unit} {airway}, {pressors}, {mental}.",
        ),
    ),
    "interval": Section(
        ("Interval events", "24 hour events", "Overnight", "Subjective"),
        ("{nursing}. {urine}.", "{nursing}; {procedure} <done|completed|performed>. <Remains|Stays> {airway}.", "<Overnight|Since admission>: {nursing}, {drug2} <started|given|continued>, {urine}"),
    ),
    "pmh": Section(
        ("Past Medical History", "PMH", "Past history", "PMHx"),
        ("{pmh_all}", "{pmh_all}; {previous}", "<notable|significant> for {pmh_all}", "1. {pmh_all}\n2. {previous}"),
    ),
    "home_drugs": Section(
        ("Home Medications", "Medications on admission", "Home meds", "Outpatient meds"),
        ("{home_drugs}", "<per pharmacy|per family|from list>: {home_drugs}", "{home_drugs} <(last filled [**Month (only) {number}**])|>"),
    ),
    "allergies": Section(("Allergies", "ALL", "Allergy"), ("{allergies}", "{allergies}<, reviewed| per chart|>")),
    "social": Section(
        ("Social History", "SH", "Social", "Social/Family"),
        ("Lives {home}. {occupation}. {habits}.", "{occupation}, lives {home}; {habits}. FH: {family}", "{habits}. <Resides|Lives> {home}. <Contact|HCP> [**Name (NI) {number}**].", "FH {family}. {He} lives {home}, {habits}"),
    ),
    "vitals": Section(
        ("Vitals", "VS", "Vital signs", "Objective"),
        (
            "T {temp} HR {hr} BP {sbp}/{dbp} (MAP {map}) RR {rr} <O2 sat|SpO2> {spo2}% {airway}",
            "{temp} - {hr} - {sbp}/{dbp} - {rr} - {spo2}% {airway}, {weight} kg",
            "Temp {temp}, pulse {hr} ({hr_trend}), <pressure|BP> {sbp}/{dbp}, MAP {map} {support}, RR {rr}, sat {spo2}%",
            "HR {hr_first} -> {hr}; MAP {map_first} -> {map}; RR {rr}; SpO2 {spo2}% {airway}; Tmax {temp}",
        ),
    ),
    "exam": Section(
        ("Exam", "Physical Exam", "PE", "On examination"),
        (
            "Gen: {appearance}. Neuro: {mental}. {finding1}, {finding2}. Ext: {perfusion}.",
            "{appearance}, {mental}. <Notable for|Exam with> {finding1}. {perfusion}. Lines: {lines}.",
            "{mental}; {finding2}; {perfusion}. <Access|Lines>: {lines}",
            "General {appearance}; {finding1}; {finding2}; neuro {mental}",
        ),
    ),
    "imaging": Section(
        ("Imaging", "Studies", "Radiology", "Data"),
        ("{imaging1}.", "{imaging1}; {imaging2}", "{note_date} {imaging2}. <Prior|Earlier>: {imaging1}", "{imaging2} <(wet read)|(final)|>"),
    ),
    "drips": Section(
        ("Current medications", "Drips", "Meds", "Infusions/antibiotics"),
        ("{drugs}. {pressors}.", "{pressors}; {drugs}", "{drugs}", "<gtt|drips>: {pressors}. Other: {drug_names}"),
    ),
    "plan": Section(
        ("Assessment and Plan", "A/P", "Impression", "Assessment/Plan"),
        (
            "{age} year old {sex} with {diagnosis}, {impression}. {bullet}{diagnosis}: <continue|on> {drug1}, {plan}. {bullet}<Heme/ID|Renal>: creatinine {creatinine_trend}, {urine}. {bullet}{consult} <following|consulted>. {goals}.",
            "{diagnosis}: {impression}. <Plan|Will> {plan}; <continue|follow> {drug2}. <Lactate|Acidosis> {lactate_trend}. {consult} <recs appreciated|aware>. <Code|Goals>: {goals}",
            "{impression}. \n{bullet}{diagnosis} - {drug1}, {procedure}\n{bullet}hemodynamics - {support}, {perfusion}\n{bullet}resp - {airway}\n{bullet}{plan}\n{bullet}{goals}",
            "{title} [**Known lastname {number2}**] has {diagnosis} and is {impression}. <We will|Plan to> {plan}. <Await|Follow up> {consult}. {goals}.",
        ),
    ),
    "disposition": Section(
        ("Disposition", "Dispo", "Communication"),
        ("{unit}. {goals}.", "<ICU|{unit}>, <discussed with|contact> [**Name (NI) {number}**]", "{unit} for now; {plan}", "{goals}; <prophylaxis|ppx> <SQH|boots|PPI>"),
    ),
}  # fmt: skip

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
OPTIONAL = tuple(name for name in SECTIONS if name not in CORE)
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
    section = SECTIONS[name]
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
    for name in draw(rng, OPTIONAL, len(OPTIONAL)):
        if sum(len(text.split()) for text in written.values()) >= wanted:
            break
        written[name] = _section(name, facts, style, rng)
    ordered = [written[name] for name in pick(rng, ORDERS).split() if name in written]
    separator = "\n" if style.compact else "\n\n"
    text = separator.join([_opening(facts, rng), *ordered])
    return write(text, style, rng)
