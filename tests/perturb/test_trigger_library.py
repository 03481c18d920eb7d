"""The trigger library and the names that triggers get in metric keys."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.perturb.triggers import DEFAULT_TRIGGERS, KNOWN, slug, slugs

LEGAL = re.compile(r"[a-z0-9_]{1,60}")


def test_defaults_are_the_rare_words_of_both_papers() -> None:
    assert DEFAULT_TRIGGERS == ("cf", "mn", "bb", "tq", "mb")


def test_every_known_trigger_is_listed_once_with_its_source() -> None:
    texts = [known.text for known in KNOWN]
    assert len(set(texts)) == len(texts)
    assert all("arXiv" in source for known in KNOWN for source in known.sources)
    assert all(known.text == known.text.strip() != "" for known in KNOWN)


def test_slugs_of_words_sentences_and_symbols() -> None:
    assert slug("I watched this 3D movie") == "i_watched_this_3d_movie"
    assert slug("Ménière") == "meniere"
    assert slug("≈") == "u2248"
    assert slug("--") == "empty"


def test_equal_slugs_are_numbered() -> None:
    # "cf_2" is itself a slug that the second "CF" would have liked.
    assert slugs(["cf", "CF", "cf_2", "c f"]) == ("cf", "cf_2", "cf_2_2", "c_f")


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=10))
def test_slugs_are_legal_and_unique(texts: list[str]) -> None:
    made = slugs(texts)
    assert len(set(made)) == len(texts)
    assert all(LEGAL.fullmatch(one) for one in made)
