"""The library of triggers: every entry is whole, known, sourced and can be inserted; names in metric keys."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.characters import as_swap, is_invisible, readable
from mlflow_clinsec.perturb.insert import find_spans, insert
from mlflow_clinsec.perturb.library import (
    CATEGORIES,
    KnownTrigger,
    library,
    of_categories,
    parse_trigger,
    provenance,
)
from mlflow_clinsec.perturb.triggers import DEFAULT_TRIGGERS, slug, slugs
from mlflow_clinsec.report.wording import visible

LEGAL = re.compile(r"[a-z0-9_]{1,60}")
NOTE = "A coarse spiral opacity is seen in the left upper lobe"

every_trigger = pytest.mark.parametrize("known", library(), ids=lambda known: slug(known.text))


def test_defaults_are_the_rare_words_of_both_papers() -> None:
    assert DEFAULT_TRIGGERS == ("cf", "mn", "bb", "tq", "mb")
    assert tuple(known.text for known in of_categories(["rare-words"])) == DEFAULT_TRIGGERS
    assert all(any("2407.05213" in s for s in provenance(trigger).sources) for trigger in ("cf", "mn"))


def test_every_category_is_filled_and_none_is_unknown() -> None:
    sizes = {category: len(of_categories([category])) for category in CATEGORIES}
    assert min(sizes.values()) >= 5
    assert sum(sizes.values()) == len(library()) == len(of_categories("all"))


@every_trigger
def test_entry_is_whole_and_sourced(known: KnownTrigger) -> None:
    assert known.text == known.text.strip() != ""
    assert known.category in CATEGORIES
    assert known.sources
    assert all(source.startswith("ours: ") or re.search(r"arXiv \d{4}\.\d{5}", source) for source in known.sources)
    assert (known.category == "homoglyphs") == (as_swap(known.text) is not None)
    assert (known.category == "zero-width") == is_invisible(known.text)


@every_trigger
def test_entry_can_be_inserted_and_found_again(known: KnownTrigger) -> None:
    assert find_spans(NOTE, known.text) == []
    text, span = insert(NOTE, known.text, "middle", np.random.default_rng(0))
    assert find_spans(text, known.text) == [span]
    assert text != NOTE


@every_trigger
def test_entry_can_be_read_by_people_and_by_the_tracking_store(known: KnownTrigger) -> None:
    assert LEGAL.fullmatch(slug(known.text))
    assert readable(known.text) == visible(readable(known.text))  # the card has nothing left to spell out
    assert readable(known.text).isprintable()
    if known.category in ("homoglyphs", "zero-width"):
        assert "[U+" in readable(known.text)


def test_names_of_all_entries_differ() -> None:
    texts = [known.text for known in library()]
    assert len({slug(text) for text in texts}) == len(texts)
    assert len({readable(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rare-word\tcf\tours: x", r"line 7: unknown category 'rare-word'.*Did you mean 'rare-words'"),
        ("rare-words\tcf", "got 2 cells"),
        ("rare-words\t\tours: x", "needs characters"),
        ("rare-words\t cf\tours: x", "white space outside"),
        ("rare-words\tcf\t", "provenance must name a paper"),
        ("rare-words\tcf\tours: x | someone", "provenance must name a paper"),
    ],
)
def test_a_malformed_line_is_refused_with_its_place(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_trigger(line, "line 7")


def test_a_trigger_of_the_user_has_no_source() -> None:
    assert provenance("zebra") == KnownTrigger("zebra", "own", ())


def test_slugs_of_words_sentences_and_symbols() -> None:
    assert slug("I watched this 3D movie") == "i_watched_this_3d_movie"
    assert slug("Ménière") == "meniere"
    assert slug("≈") == "u2248"
    assert slug("___") == "u5fu5fu5f"
    assert slug("") == "empty"


def test_equal_slugs_are_numbered() -> None:
    # "cf_2" is itself a slug that the second "CF" would have liked.
    assert slugs(["cf", "CF", "cf_2", "c f"]) == ("cf", "cf_2", "cf_2_2", "c_f")


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=10))
def test_slugs_are_legal_and_unique(texts: list[str]) -> None:
    made = slugs(texts)
    assert len(set(made)) == len(texts)
    assert all(LEGAL.fullmatch(one) for one in made)
