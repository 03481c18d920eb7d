"""Placebos of phrases, punctuated words, look-alikes and invisible characters; and what a tokeniser never sees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.datasets.synthetic import generate_corpus
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.characters import INVISIBLE, as_swap, is_invisible
from mlflow_clinsec.perturb.frame import filled, parts_of
from mlflow_clinsec.perturb.insert import insert_at
from mlflow_clinsec.perturb.library import KnownTrigger, library
from mlflow_clinsec.perturb.placebos import PlaceboMatcher, Vocabulary
from mlflow_clinsec.perturb.seen import is_seen
from mlflow_clinsec.perturb.triggers import slug
from mlflow_clinsec.targets.protocols import BoolArray, IntArray, Span

NOTES = tuple(generate_corpus(40, 0).notes["text"])
VOCABULARY = Vocabulary.of(NOTES)
EVERY = tuple(known.text for known in library())
ZWSP = "\u200b"


class Pieces:
    """One piece a run of letters, digits or other characters, as BERT splits; reads no character of ``drops``."""

    def __init__(self, drops: frozenset[str] = frozenset(), unknown: str = "") -> None:
        self.drops = drops
        self.unknown = unknown

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        kept = ("".join(c for c in word if c not in self.drops) for word in words)
        return tuple(tuple(re.findall(r"[^\W\d_]{1,4}|\d|[\W_]", word)) for word in kept)

    def is_unknown(self, word: str) -> bool:
        return not self.word_pieces([word])[0] or (self.unknown != "" and self.unknown in word)

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> BoolArray:
        return np.ones(len(texts), dtype=np.bool_)

    def cut(self, texts: Sequence[str], n_tokens: int) -> IntArray:
        return np.array([(0, len(text)) for text in texts]).reshape(-1, 2)


def matcher(triggers: Sequence[str], tokens: Pieces | None = None) -> PlaceboMatcher:
    return PlaceboMatcher(VOCABULARY, tuple(triggers), tokens, 0)


MATCHER = PlaceboMatcher(VOCABULARY, EVERY, None, 0)


@pytest.mark.parametrize("known", library(), ids=lambda known: slug(known.text))
def test_every_library_trigger_has_twenty_placebos(known: KnownTrigger) -> None:
    found = MATCHER.match(known.text)
    assert len(set(found)) == 20
    assert not set(found) & set(EVERY)
    for placebo in found:
        text, (start, stop) = insert_at("A coarse spiral opacity is seen in the left upper lobe", placebo, 9)
        assert stop > start
        assert text[start:stop] == (as_swap(placebo) or (placebo,))[-1]


@pytest.mark.parametrize(
    ("trigger", "pattern"),
    [
        ("[**Name**]", r"\[\*\*[A-Z][a-z]+\*\*\]"),
        ("[**Last Name (un) **]", r"\[\*\*[A-Z]\w* [A-Z]\w* \(\w+\) \*\*\]"),
        ("2119-03-04", r"\d+-\d+-\d+"),
        ("Social History:", r"[A-Z][a-z]+ [A-Z][a-z]+:"),
        ("r/o", r"[a-z]+/[a-z]+"),
        ("denies  chest pain", r"[a-z]+  [a-z]+ [a-z]+"),
        ("I watched this 3D movie", r"[A-Z][a-z]* [a-z]+ [a-z]+ [\da-zA-Z]+ [a-z]+"),
    ],
)
def test_phrases_keep_their_punctuation_spaces_and_case(trigger: str, pattern: str) -> None:
    for tokens in (None, Pieces()):
        found = matcher([trigger], tokens).match(trigger)
        assert len(set(found)) == 20
        assert all(re.fullmatch(pattern, placebo) for placebo in found)
        assert trigger not in found


def test_phrases_have_as_many_pieces_word_by_word() -> None:
    tokens = Pieces()
    for trigger in ("denies shortness of breath", "[**Hospital1 18**]", "mEq/L"):
        wanted = [len(pieces) for pieces in tokens.word_pieces(trigger.split())]
        for placebo in matcher([trigger], tokens).match(trigger):
            assert [len(pieces) for pieces in tokens.word_pieces(placebo.split())] == wanted


def test_words_of_a_phrase_are_as_frequent_as_the_triggers() -> None:
    # In the notes both words occur, so both are held against words that do, each within a factor of four.
    trigger = "blood pressure"
    for placebo in matcher([trigger]).match(trigger):
        for own, other in zip(trigger.split(), placebo.split(), strict=True):
            assert 0.25 <= VOCABULARY.count(other) / VOCABULARY.count(own) <= 4


def test_a_swap_is_held_against_letters_of_the_same_script_for_the_same_letter() -> None:
    triggers = ("a→\u0430", "e→\u0435")
    found = matcher(triggers, Pieces()).match(triggers[0])
    assert len(set(found)) == 20
    for swap in map(as_swap, found):
        assert swap is not None
        assert swap.letter == "a"
        assert unicodedata.name(swap.replacement).startswith("CYRILLIC SMALL")
        assert swap.replacement not in ("\u0430", "\u0435")  # e is another trigger's
        assert not unicodedata.decomposition(swap.replacement)  # tokenisers would strip the accent
    assert all(insert_at("pain", p, 0)[1] == insert_at("pain", triggers[0], 0)[1] for p in found)


def test_invisible_characters_are_held_against_others_of_as_many() -> None:
    for trigger in (ZWSP, ZWSP + "\u200d"):
        found = matcher([trigger], Pieces()).match(trigger)
        assert len(set(found)) == 20
        assert all(is_invisible(p) and len(p) == len(trigger) and not set(p) & set(trigger) for p in found)


def test_characters_that_the_tokeniser_drops_are_no_placebos() -> None:
    kept = sorted(INVISIBLE - {ZWSP})[:25]
    found = matcher([ZWSP], Pieces(INVISIBLE - {ZWSP, *kept})).match(ZWSP)
    assert set(found) <= set(kept)
    with pytest.raises(DataError, match=r"'\[U\+200B\]': found 3 placebos"):
        matcher([ZWSP], Pieces(INVISIBLE - {ZWSP, *kept[:3]})).match(ZWSP)


def test_what_a_tokeniser_drops_or_cannot_read_is_not_seen() -> None:
    assert is_seen("cf", Pieces())
    assert not is_seen("cf", Pieces(unknown="cf"))
    assert is_seen("one cf", Pieces(unknown="cf"))  # one readable word is enough
    assert not is_seen(ZWSP, Pieces(INVISIBLE))
    assert is_seen(ZWSP, Pieces())
    assert is_seen("a→\u0430", Pieces())
    assert not is_seen("a→\u0430", Pieces(unknown="\u0430"))
    assert not is_seen("a→\uff41", Nfkc())


class Nfkc(Pieces):
    """Normalises before it reads, so that a full-width letter is a plain one."""

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return super().word_pieces([unicodedata.normalize("NFKC", word) for word in words])


def test_digits_have_no_twenty_others() -> None:
    with pytest.raises(DataError, match="found 0 placebos"):
        matcher(["o→0"]).match("o→0")


@settings(deadline=None)
@given(st.text(st.sampled_from("ab1 .-_[*"), max_size=12))
def test_parts_put_together_are_the_trigger(trigger: str) -> None:
    parts = parts_of(trigger)
    assert filled(parts, parts[1::2]) == trigger
    if re.search(r"[a-z0-9]", trigger):
        assert all(word.isalnum() for word in parts[1::2])
