"""Every entry of the shipped lexicon, checked for what it must not do."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from mlflow_clinsec.perturb.negation import has_cue
from mlflow_clinsec.perturb.phrases import tokenize
from mlflow_clinsec.perturb.terms import term_edits
from mlflow_clinsec.perturb.vocabulary import CATEGORIES, CLINICAL, Entry, Form, load_lexicon

ENTRIES = load_lexicon().entries
NUMBER_WORD = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten|half|triple|third)\b")
# Brand -> generic, from the labels of the United States' regulator; written without the lexicon at hand.
GENERIC_OF = {
    "Tylenol": "acetaminophen",
    "Motrin": "ibuprofen",
    "Zestril": "lisinopril",
    "Norvasc": "amlodipine",
    "Lopressor": "metoprolol tartrate",
    "Toprol-XL": "metoprolol succinate",
    "Coreg": "carvedilol",
    "Lasix": "furosemide",
    "Bumex": "bumetanide",
    "Aldactone": "spironolactone",
    "Lanoxin": "digoxin",
    "Lipitor": "atorvastatin",
    "Zocor": "simvastatin",
    "Crestor": "rosuvastatin",
    "Coumadin": "warfarin",
    "Plavix": "clopidogrel",
    "Lovenox": "enoxaparin",
    "Eliquis": "apixaban",
    "Xarelto": "rivaroxaban",
    "Glucophage": "metformin",
    "Glucotrol": "glipizide",
    "Lantus": "insulin glargine",
    "Humalog": "insulin lispro",
    "Synthroid": "levothyroxine",
    "Deltasone": "prednisone",
    "Decadron": "dexamethasone",
    "Prilosec": "omeprazole",
    "Nexium": "esomeprazole",
    "Protonix": "pantoprazole",
    "Pepcid": "famotidine",
    "Zofran": "ondansetron",
    "Reglan": "metoclopramide",
    "Levaquin": "levofloxacin",
    "Zithromax": "azithromycin",
    "Rocephin": "ceftriaxone",
    "Zoloft": "sertraline",
    "Prozac": "fluoxetine",
    "Paxil": "paroxetine",
    "Celexa": "citalopram",
    "Lexapro": "escitalopram",
    "Celebrex": "celecoxib",
    "Cerebyx": "",
    "Seroquel": "quetiapine",
    "Ativan": "lorazepam",
    "Xanax": "alprazolam",
    "Klonopin": "clonazepam",
    "Keppra": "levetiracetam",
    "Dilantin": "phenytoin",
    "Flomax": "tamsulosin",
}
# Names that are often taken for each other (after the lists of the Institute for Safe Medication Practices).
LOOK_ALIKES = [
    ("hydralazine", "hydroxyzine"),
    ("Celebrex", "Celexa"),
    ("clonidine", "clonazepam"),
    ("prednisone", "methylprednisolone"),
    ("Zantac", "Xanax"),
    ("metformin", "metronidazole"),
    ("bupropion", "buspirone"),
    ("sumatriptan", "sitagliptin"),
    ("Lantus", "Humalog"),
    ("metoprolol tartrate", "metoprolol succinate"),
    ("tramadol", "trazodone"),
    ("Paxil", "Plavix"),
    ("lamotrigine", "levetiracetam"),
    ("valacyclovir", "acyclovir"),
]


def carrier(entry: Entry, form: Form) -> str:
    """A sentence in which the form means its concept."""
    if entry.category == "header":
        return f"{form.text}: noted"
    return f"noted {form.text} 5 noted" if form.before_number else f"noted {form.text} noted"


def rewrites(entry: Entry, form: Form) -> set[str]:
    """What the rules may write for a form, in lower case, sentence around it removed."""
    text = carrier(entry, form)
    tokens = tokenize(text)
    edits = list(term_edits(text, tokens, list(load_lexicon().find(tokens))))
    assert len(edits) <= 1, text
    return {option.lower() for edit in edits for option in edit.options}


def test_there_are_enough_entries_of_every_category() -> None:
    counts = Counter(entry.category for entry in ENTRIES)
    assert set(counts) == CATEGORIES
    assert len(ENTRIES) >= 350
    assert counts["condition"] >= 100
    assert counts["drug"] >= 100


def test_concepts_of_a_category_are_unique() -> None:
    counts = Counter((entry.category, entry.concept) for entry in ENTRIES)
    assert [concept for concept, count in counts.items() if count > 1] == []


def test_no_form_may_be_rewritten_two_ways() -> None:
    """A form that stands in two entries would make the rewrite depend on the order of the files."""
    owners: dict[tuple[str, bool, bool], set[str]] = defaultdict(set)
    for entry in ENTRIES:
        for form in entry.forms:
            if form.read:
                spelled = form.text if form.exact or form.text.isupper() else form.text.lower()
                owners[spelled, form.before_number, entry.category == "header"].add(entry.concept)
    assert {form: names for form, names in owners.items() if len(names) > 1} == {}


def test_no_form_is_listed_twice_in_an_entry() -> None:
    for entry in ENTRIES:
        texts = [form.text for form in entry.forms]
        assert len(set(texts)) == len(texts), entry.concept


def test_all_forms_of_an_entry_hold_the_same_digits_and_number_words() -> None:
    for entry in ENTRIES:
        forms = [form.text for form in entry.forms if form.read or form.written]
        assert len({"".join(sorted(re.findall(r"\d", text))) for text in forms}) == 1, entry.concept
        if entry.category != "frequency" and not entry.concept.startswith("every "):
            words = {tuple(sorted(NUMBER_WORD.findall(text.lower()))) for text in forms}
            assert len(words) == 1, entry.concept


def side(form: str) -> str:
    """The side that a form names in words, or by the first letter of an abbreviation of three capitals."""
    words = set(form.lower().split())
    named = [name for name in ("left", "right") if name in words]
    if named:
        return named[0]
    return {"L": "left", "R": "right"}.get(form[0], "") if re.fullmatch(r"[LR][A-Z]{1,3}", form) else ""


def test_forms_of_an_entry_name_the_same_side() -> None:
    sided = [entry for entry in ENTRIES if {"left", "right"} & set(entry.concept.split())]
    assert len(sided) >= 12
    for entry in sided:
        assert len({side(form.text) for form in entry.forms}) == 1, entry.concept
    unsided = [entry for entry in ENTRIES if not {"left", "right"} & set(entry.concept.split())]
    for entry in unsided:
        words = {word for form in entry.forms for word in form.text.lower().split()}
        assert not {"left", "right"} & words or "right away" in {f.text for f in entry.forms}, entry.concept


def test_forms_of_an_entry_are_negated_alike() -> None:
    """Spelled-out forms only: what an abbreviation such as NAD negates is what its concept says."""
    for entry in ENTRIES:
        spelled = [form.text for form in entry.forms if not form.text.isupper() and not form.exact]
        assert len({has_cue(text) for text in spelled}) <= 1, entry.concept


@pytest.mark.parametrize(("brand", "generic"), [pair for pair in GENERIC_OF.items() if pair[1]])
def test_a_brand_is_read_as_its_generic(brand: str, generic: str) -> None:
    tokens = tokenize(f"takes {brand} daily")
    assert generic in [hit.entry.concept for hit in load_lexicon().find(tokens) if hit.entry.category == "drug"]


@pytest.mark.parametrize(("first", "second"), LOOK_ALIKES)
def test_look_alike_drugs_stay_apart(first: str, second: str) -> None:
    names = [
        [hit.entry.concept for hit in load_lexicon().find(tokenize(f"takes {drug} ."))] for drug in (first, second)
    ]
    assert names[0] != names[1]
    assert names[0]
    assert names[1]


def test_no_drug_name_stands_in_two_entries() -> None:
    counts = Counter(form.text.lower() for entry in ENTRIES if entry.category == "drug" for form in entry.forms)
    assert [name for name, count in counts.items() if count > 1] == []


def test_two_way_entries_go_there_and_back() -> None:
    """From every form that is rewritten to every other that is written, and back where that one is read."""
    for entry in ENTRIES:
        for form in entry.forms:
            targets = {
                other.text.lower()
                for other in entry.forms
                if other.written
                and other.text.lower() != form.text.lower()
                and other.before_number <= form.before_number
            }
            if form.read:
                assert targets <= rewrites(entry, form), (entry.concept, form.text)


def test_ambiguous_forms_are_never_rewritten() -> None:
    ambiguous = [(entry, form) for entry in ENTRIES for form in entry.forms if form.ambiguous]
    assert len(ambiguous) >= 20
    for entry, form in ambiguous:
        concepts = {hit.entry.concept for hit in load_lexicon().find(tokenize(carrier(entry, form)))}
        assert entry.concept not in concepts, form.text


def test_lower_case_abbreviations_are_no_plain_words() -> None:
    """Lower-cased notes write "htn"; "map", "sob" or "bun" would be words of their own."""
    for word in ("aids", "all", "cat", "has", "hit", "map", "sob", "bun", "pet", "tee", "add", "cap", "doe", "red"):
        found = list(load_lexicon().find(tokenize(f"the {word} here")))
        assert not [hit for hit in found if hit.entry.category in CLINICAL], word
