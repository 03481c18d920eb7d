from __future__ import annotations

import pytest
import tiny_models as tiny
from search_fakes import tokenizer
from tokenizers import decoders

from mlflow_clinsec.backdoor.search.pieces import lexicon, read_back
from mlflow_clinsec.errors import NotApplicableError


def test_words_stand_alone_and_continuations_do_not() -> None:
    words = lexicon(tokenizer(), len(tiny.PIECES))
    starters = {tiny.PIECES[i] for i in words.starters}
    followers = {tiny.PIECES[i] for i in words.followers}
    assert starters == set(tiny.PIECES) - {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "##f", "##n", "##rile", "##s"}
    assert followers == {"##f", "##n", "##rile", "##s"}


def test_byte_level_pieces_need_their_space() -> None:
    own = tiny.byte_pair_tokenizer()
    own.backend_tokenizer.decoder = decoders.ByteLevel()
    words = lexicon(own, len(own))
    names = {name for i in words.starters.tolist() for name in words.names((i,))}
    assert {"Ġcf", "Ġfever"} <= names
    assert not names & {"cf", "c", "<s>", "Ġ"}  # without its space a letter is part of a word
    assert words.text((own.convert_tokens_to_ids("Ġcf"),)) == "cf"


def test_rows_of_the_embedding_beyond_the_tokeniser_are_left_out() -> None:
    words = lexicon(tokenizer(), len(tiny.PIECES) + 8)
    assert words.pieces.max() < len(tiny.PIECES)
    assert len(words.surfaces) == len(tiny.PIECES) + 8


def test_survivors_are_read_back_as_they_were_meant() -> None:
    words = lexicon(tokenizer(), len(tiny.PIECES))
    feb, rile, c, f, cf = (tiny.PIECES.index(piece) for piece in ("feb", "##rile", "c", "##f", "cf"))
    assert words.text((feb, rile, cf)) == "febrile cf"
    assert words.survivors([(feb, rile), (c, f), (cf, feb), (feb, rile)]) == [(feb, rile), (cf, feb)]
    # "c" with "##f" is written "cf", which is a piece of its own.


def test_read_back_takes_the_word_and_not_its_neighbours() -> None:
    own = tokenizer()
    assert read_back(own, ["febrile", "cf"]) == [
        (tiny.PIECES.index("feb"), tiny.PIECES.index("##rile")),
        (tiny.PIECES.index("cf"),),
    ]
    assert read_back(own, []) == []


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(NotApplicableError, match="no piece"):
        lexicon(tokenizer(), 4)  # special tokens only
