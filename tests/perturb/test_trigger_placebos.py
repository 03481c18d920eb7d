"""Placebos: as long as the trigger in word pieces, as frequent, different from it, and reproducible."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.made_up import ordinary_words
from mlflow_clinsec.perturb.placebos import PlaceboMatcher, Vocabulary
from mlflow_clinsec.targets.protocols import BoolArray, Span

NOTES = tuple(f"Patient {i} reports pain in the left arm and takes aspirin daily." for i in range(50))


class PairTokens:
    """Cuts a word into pieces of two characters; words that hold ``unknown_letter`` are unknown."""

    def __init__(self, unknown_letter: str = "") -> None:
        self.unknown_letter = unknown_letter

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(word[i : i + 2] for i in range(0, len(word), 2)) for word in words)

    def is_unknown(self, word: str) -> bool:
        return bool(self.unknown_letter) and self.unknown_letter in word

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> BoolArray:
        return np.ones(len(texts), dtype=np.bool_)


def matcher(
    triggers: tuple[str, ...] = ("cf", "mn"),
    tokens: PairTokens | None = None,
    texts: Sequence[str] = NOTES,
    seed: int = 0,
    count: int = 20,
) -> PlaceboMatcher:
    return PlaceboMatcher(Vocabulary.of(texts), triggers, tokens, seed, count)


def test_document_frequency_counts_texts_not_occurrences() -> None:
    # "pain" twice in the first text, once in the second, inside "painful" in the third: two texts.
    vocabulary = Vocabulary.of(["Pain, pain!", "no PAIN", "painful"])
    assert vocabulary.count("pain") == 2
    assert vocabulary.count("no-pain") == 1  # its rarest part stands in one text
    assert vocabulary.count("cf") == 0


def test_unseen_trigger_gets_unseen_words_of_as_many_pieces() -> None:
    found = matcher(tokens=PairTokens(), triggers=("cfcf",)).match("cfcf")
    assert len(set(found)) == 20
    assert all(3 <= len(word) <= 4 for word in found)  # two pieces of two characters
    assert not any(word in note.lower().split() for word in found for note in NOTES)


def test_without_the_tokeniser_length_is_matched_within_one_character() -> None:
    found = matcher(triggers=("serendipity",)).match("serendipity")
    assert len(set(found)) == 20
    assert all(10 <= len(word) <= 12 for word in found)


def test_seen_trigger_gets_words_of_similar_frequency() -> None:
    # Word k stands in 2^(k % 8) of 128 texts; the band of a factor four round 16 is 4 .. 64.
    frequency = {f"w{chr(97 + k // 26)}{chr(97 + k % 26)}": 2 ** (k % 8) for k in range(80)}
    texts = [" ".join(word for word, times in frequency.items() if row < times) for row in range(128)]
    trigger = next(word for word, times in frequency.items() if times == 16)
    found = matcher(triggers=(trigger,), texts=texts).match(trigger)
    assert len(set(found)) == 20
    assert trigger not in found
    assert all(4 <= frequency[word] <= 64 for word in found)
    # Nearest first: the other nine words of frequency 16 are all taken.
    assert [frequency[word] for word in found[:9]] == [16] * 9


def test_no_placebo_equals_or_holds_a_trigger() -> None:
    triggers = ("a", "qe", "I saw kt")
    for trigger in triggers:
        for phrase in matcher(triggers=triggers).match(trigger):
            words = phrase.lower().split()
            assert not any("a" in word or "qe" in word for word in words)
            assert not {"i", "saw", "kt"} & set(words)


def test_placebos_of_a_sentence_match_it_word_by_word() -> None:
    trigger = "xq watched 3D Qrst"
    found = matcher(triggers=(trigger,), tokens=PairTokens()).match(trigger)
    assert len(set(found)) == 20
    pieces = [[len(p) for p in PairTokens().word_pieces(phrase.split())] for phrase in found]
    assert pieces == [[1, 4, 1, 2]] * 20
    assert all(phrase.split()[2][0].isdigit() and phrase.split()[3][0].isupper() for phrase in found)


def test_symbols_get_symbols() -> None:
    found = matcher(triggers=("≈", "⊕")).match("≈")
    assert len(set(found)) == 20
    assert all(len(word) <= 2 and not any(c.isalnum() for c in word) for word in found)


def test_among_words_of_as_many_pieces_those_of_like_length_come_first() -> None:
    class OnePiece(PairTokens):
        """A large vocabulary: every word is one piece."""

        def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
            return tuple((word,) for word in words)

    assert {len(word) for word in matcher(tokens=OnePiece()).match("cf")} == {2}


def test_words_with_a_piece_of_a_trigger_are_the_last_choice() -> None:
    # Pieces of "cfmn" are "cf" and "mn". There are plenty of other words of two pieces.
    tokens = PairTokens()
    found = matcher(triggers=("cfmn",), tokens=tokens).match("cfmn")
    assert not any({"cf", "mn"} & set(pieces) for pieces in tokens.word_pieces(found))


def test_words_with_a_piece_of_a_trigger_are_taken_when_others_run_out() -> None:
    class LastLetter(PairTokens):
        """Every word is one piece, its last letter: no two-letter word is free of the triggers' pieces."""

        def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
            return tuple((word[-1],) for word in words)

    letters = tuple(f"q{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert len(set(matcher(triggers=letters, tokens=LastLetter()).match("qa"))) == 20


def test_unknown_words_are_no_placebos() -> None:
    found = matcher(tokens=PairTokens("e")).match("cf")
    assert not any("e" in word for word in found)


def test_like_triggers_share_their_placebos_in_any_order() -> None:
    alone, after = matcher(), matcher()
    after.match("cf")
    assert alone.match("mn") == after.match("mn") == after.match("cf")


def test_the_seed_decides() -> None:
    assert matcher(seed=1).match("cf") == matcher(seed=1).match("cf")
    assert matcher(seed=1).match("cf") != matcher(seed=2).match("cf")


def test_too_few_placebos_is_an_error_that_counts_them() -> None:
    # All words but the numbers stand in all fifty texts; besides "the" those of 2 to 4 letters are pain, in, left,
    # arm, and: five.
    with pytest.raises(DataError, match=r"'the': found 5 placebos .* but 20 are needed"):
        matcher(triggers=("the",)).match("the")


@pytest.mark.parametrize("trigger", ["cf", "mn", "the", "patient", "I watched this 3D movie"])
def test_real_notes_hold_enough_words_of_any_frequency(trigger: str, shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "notes-mtsamples" / "mtsamples_unique.csv", nrows=300)
    vocabulary = Vocabulary.of(table["transcription"].dropna())
    found = PlaceboMatcher(vocabulary, (trigger,), None, 0).match(trigger)
    assert len(set(found)) == 20
    for word, *others in zip(trigger.split(), *(phrase.split() for phrase in found), strict=True):
        frequency = vocabulary.count(word)
        for other in map(vocabulary.count, others):
            assert frequency / 4 <= other <= frequency * 4


@settings(max_examples=25, deadline=None)
@given(st.text("abcxyz09", min_size=1, max_size=7), st.integers(0, 5), st.booleans())
def test_unseen_triggers_of_any_make_up(trigger: str, seed: int, visible: bool) -> None:
    tokens = PairTokens() if visible else None
    matching = PlaceboMatcher(Vocabulary.of(NOTES[:3]), (trigger,), tokens, seed)
    if matching.vocabulary.count(trigger) or len(trigger) == 1:
        return  # a seen word, or one of ten digits
    found = matching.match(trigger)
    assert len(set(found)) == 20
    for word in found:
        assert trigger not in word
        assert any(c.isalpha() for c in word) == any(c.isalpha() for c in trigger)
        if visible:
            assert (len(word) + 1) // 2 == (len(trigger) + 1) // 2
        else:
            assert abs(len(word) - len(trigger)) <= 1


def test_the_list_of_ordinary_words_is_clean() -> None:
    words = ordinary_words()
    assert list(words) == sorted(set(words))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert len(list(itertools.filterfalse(lambda w: len(w) > 9, words))) > 300
