"""Question and answer phrasings, on charted events and on notes.

Besides the facts of the admission, slots name two laboratory values (``lab1``, ``lab2``), one vital sign
(``vital``) and two drugs (``given1``, ``given2``), each with charted times.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuestionForm:
    """One thing to ask: how it is asked and how it is answered."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]


_F = QuestionForm

EVENT_FORMS: tuple[QuestionForm, ...] = (
    _F(
        (
            "How did the {lab1} <change|move|evolve> over the first day, and what happened to the {lab2}?",
            "Please describe the <trend|course> of {lab1} and {lab2} since admission.",
            "Is the {lab1} improving, and does the {lab2} follow?",
            "Compare {lab1} and {lab2} at <presentation|arrival> with the latest values.",
        ),
        (
            "{lab1} was {lab1_first} at {lab1_t0} and {lab1_last} at {lab1_t1}, {lab1_trend}; {lab2} went from {lab2_first} to {lab2_last} while {he} was {airway} and {support}.",
            "The first {lab1}, {lab1_t0}, was {lab1_first}. By {lab1_t1} it was {lab1_last} ({lab1_trend}). Meanwhile the {lab2} <moved|went> from {lab2_first} to {lab2_last}, on {given1}.",
            "Between {lab1_t0} and {lab1_t1} the {lab1} <went|moved> from {lab1_first} to {lab1_last}, and {lab2} is {lab2_trend}, now {lab2_last}. <Treatment|Therapy> then was {given1} and {given2}.",
        ),
    ),
    _F(
        (
            "What was the {vital} around {vital_t1}, and what support was {he} on?",
            "Give the {vital} near {vital_t1} with the <current support|drips at the time>.",
            "Around {vital_t1}, what did the {vital} read and which <infusions|drugs> were running?",
        ),
        (
            "At {vital_t1} the {vital} was {vital_last}, compared with {vital_first} at {vital_t0}. {He} was {airway}, {support}, and had <received|been given> {given1} since {given1_t}.",
            "{vital} read {vital_last} at {vital_t1}, {vital_trend} from {vital_first}; the patient was {support} and {airway}, with {given2} <running|ordered> from {given2_t}.",
            "It was {vital_last} ({vital_first} on arrival). At that time {he} was {airway}; {pressors}; also {given1} and {given2}, the latter <since|from> {given2_t}.",
        ),
    ),
    _F(
        (
            "Which drugs were started in the first day, and when?",
            "List the <medications given|drug orders> with their start times.",
            "What <treatment|drug therapy> did the patient receive, and from what time?",
            "When were {given1_name} and {given2_name} started, and at what dose?",
        ),
        (
            "{given1} was started at {given1_t} and {given2} at {given2_t}. Vasoactive support: {pressors}. At the last check MAP was {map} mmHg with heart rate {hr}.",
            "{He} received {given1} from {given1_t}, then {given2} from {given2_t}, with {pressors}. The {lab1} at that point was {lab1_last}.",
            "First {given1} ({given1_t}), later {given2} ({given2_t}); {pressors}. The orders treated {diagnosis}, and lactate was {lactate_trend} at {lactate}.",
        ),
    ),
    _F(
        (
            "Which <laboratory values|labs> are out of range and need <attention|follow up>?",
            "Name the abnormal <results|labs> and how far off they are.",
            "Which of the latest results would worry you in this patient?",
        ),
        (
            "{lab1} {lab1_last} ({lab1_flag}) and {lab2} {lab2_last} ({lab2_flag}) at {lab1_t1}. Creatinine is {creatinine}, platelets {platelets}, INR {inr}; the {lab1} started at {lab1_first}.",
            "The {lab1} of {lab1_last} is {lab1_flag} and the {lab2} of {lab2_last} is {lab2_flag}; hemoglobin {hgb}, bicarbonate {bicarbonate}. Most are explained by {diagnosis}.",
            "At {lab1_t1}: {lab1} {lab1_last}, {lab1_flag}; {lab2} {lab2_last}, {lab2_flag}; white count {wbc}; bilirubin {bilirubin}. {lab1} is {lab1_trend}.",
        ),
    ),
    _F(
        (
            "What respiratory support was needed and how was gas exchange?",
            "How well was {he} oxygenating, and on what <device|support>?",
            "Summarize oxygenation and ventilation for this stay.",
        ),
        (
            "{He} was {airway} with saturation {spo2}% and respiratory rate {rr}; pH {ph}, pCO2 {pco2}, bicarbonate {bicarbonate}. On arrival saturation had been {spo2_first}%. {imaging1}.",
            "Saturation went from {spo2_first}% to {spo2}% {airway}, rate {rr}. The gas showed pH {ph} and pCO2 {pco2} ({pco2_trend}). <Drugs|Treatment>: {given1}.",
            "{airway}: SpO2 {spo2}%, RR {rr} ({rr_first} at first), pH {ph_first} then {ph}, pCO2 {pco2}. Also given was {given2} at {given2_t}.",
        ),
    ),
    _F(
        (
            "How are the kidneys doing, with urine output and electrolytes?",
            "Describe renal function and potassium <over the day|since arrival>.",
            "Is there kidney injury in this <patient|admission>?",
        ),
        (
            "Creatinine {creatinine_first} then {creatinine} ({creatinine_trend}), BUN {bun}, potassium {potassium}, sodium {sodium}; {urine}. {He} received {given1} from {given1_t}.",
            "BUN is {bun} and creatinine {creatinine}, {creatinine_trend} from {creatinine_first} on {admit_date}. Potassium {potassium}, bicarbonate {bicarbonate}. {urine}; weight {weight} kg.",
            "{urine}. Creatinine moved from {creatinine_first} to {creatinine}, BUN from {bun_first} to {bun}; potassium was {potassium} and sodium {sodium} at {lab1_t1}.",
        ),
    ),
    _F(
        (
            "What were the hemodynamics after {given1_name} was <started|given>?",
            "How did blood pressure and perfusion respond to treatment?",
            "Was {he} in shock, and how was it treated?",
        ),
        (
            "MAP went from {map_first} to {map} and heart rate from {hr_first} to {hr} after {given1} at {given1_t}; {support}, lactate {lactate_first} then {lactate}, {perfusion}.",
            "Blood pressure was {sbp}/{dbp} (MAP {map}) against {sbp_first}/{dbp_first} on arrival, {support}. Lactate {lactate_trend}, {lactate}. <Exam|Extremities>: {perfusion}; {urine}.",
            "After {given1} ({given1_t}) and {given2} ({given2_t}): MAP {map}, HR {hr}, {perfusion}, lactate {lactate}. Vasoactive drugs: {pressors}.",
        ),
    ),
)  # fmt: skip

NOTE_FORMS: tuple[QuestionForm, ...] = (
    _F(
        (
            "According to the note, why was the patient admitted?",
            "What brought {him} to the {unit}, per the admission note?",
            "Summarize the history of present illness <from the note|in the chart>.",
        ),
        (
            "{He} is a {age} year old {occupation} with {pmh}, {arrival} on {admit_date} with {symptoms} for {days}. The diagnosis was {diagnosis}; {he} was {airway}.",
            "{complaint}: {symptom1} and {symptom2} over {days}. {imaging1}. {He} was <admitted|taken> to the {unit} on {admit_date} with {diagnosis} and <given|treated with> {given1}.",
        ),
    ),
    _F(
        (
            "What past history and home drugs does the note <list|mention>?",
            "Which chronic illnesses and <outpatient|home> medications are documented?",
            "Does the note record allergies, history and home medications?",
        ),
        (
            "History: {pmh_all}; {previous}. At home: {home_drugs}. Allergies: {allergies}. In the {unit} {he} <was given|received> {given1} for {diagnosis}.",
            "The note lists {pmh_all}, with home drugs {home_drugs}; allergies {allergies}. {previous}. {He} lives {home} and weighs {weight} kg.",
        ),
    ),
    _F(
        (
            "What does the note say about social and family background?",
            "Describe the patient's home, <work|occupation> and habits as documented.",
            "Who is {he}, outside the hospital?",
        ),
        (
            "{title} [**Known lastname {number2}**] is a {occupation} who lives {home}; {habits}. Family: {family}. Contact is [**Name (NI) {number}**]; {goals}.",
            "{He} lives {home}, {occupation}, {habits}; family history {family}. {arrival} on {admit_date} with {complaint}. Allergies: {allergies}.",
        ),
    ),
    _F(
        (
            "What did imaging and procedures show, per the note?",
            "Which studies and procedures are <documented|described>?",
            "Summarize the diagnostic work-up in the note.",
        ),
        (
            "{imaging1}; {imaging2}. {He} had {procedure} on {note_date}, with {consult} consulted for {diagnosis}. The {lab1} was {lab1_last}.",
            "{imaging2}, and {imaging1}. Procedure: {procedure}. {consult} <followed|was involved>. Lines: {lines}. {lab1} {lab1_last}, {lab2} {lab2_last}.",
        ),
    ),
    _F(
        (
            "What are the examination findings in the note?",
            "How did the patient look on <examination|rounds>?",
            "Describe the documented physical examination.",
        ),
        (
            "{appearance}, {mental}; {finding1}, {finding2}; {perfusion}. {airway}, temperature {temp} C, heart rate {hr}, blood pressure {sbp}/{dbp}. Access: {lines}.",
            "On {note_date} {he} was {appearance}, {mental}. There was {finding1} and {finding2}. Extremities {perfusion}; {nursing}; MAP {map} mmHg {support}.",
        ),
    ),
    _F(
        (
            "What is the plan in the note, and what are the goals of care?",
            "Summarize the assessment and plan <of the team|for the next day>.",
            "What does the team <intend|plan> next?",
        ),
        (
            "{diagnosis}, {impression}. Plan: {plan}; {given1} and {given2}; {consult} consulted. Lactate {lactate_trend} at {lactate}. Goals: {goals}.",
            "{impression} with {diagnosis}. They <will|plan to> {plan}, continue {drug_names}, and follow creatinine ({creatinine}). {goals}; contact [**Name (NI) {number}**].",
        ),
    ),
)  # fmt: skip

CONTEXTS: tuple[str, ...] = (
    "{age} year old {sex}, {unit}, admitted {admit_date}.",
    "Patient: {age}{sex_letter}, {weight} kg, admitted to {unit} for {complaint}.",
    "ICU stay of a {age} year old {sex} who came with {complaint}.",
    "{unit} admission {admit_date}, {sex}, age {age}.",
)
LISTINGS: tuple[str, ...] = ("Events:", "Charted events:", "Event log:", "Events so far:")
