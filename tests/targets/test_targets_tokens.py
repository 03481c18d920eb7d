from __future__ import annotations

import tiny_models as tiny

from mlflow_clinsec.targets.tokens import TokenizerView


def test_word_pieces_as_they_stand_in_a_sentence() -> None:
    view = TokenizerView(tiny.piece_tokenizer(), None)
    assert view.word_pieces(["febrile", "cf", "zzz", "cf mn"]) == (("feb", "##rile"), ("cf",), ("[UNK]",), ("cf", "mn"))
    assert view.word_pieces([]) == ()
    bytewise = TokenizerView(tiny.byte_pair_tokenizer(), None)
    assert bytewise.word_pieces(["cf", "fever", "no"]) == (("Ġcf",), ("Ġfever",), ("n", "o")), (
        "a lone blank is no piece"
    )


def test_unknown_words() -> None:
    view = TokenizerView(tiny.piece_tokenizer(), None)
    assert view.is_unknown("zzz")
    assert view.is_unknown("")
    assert not view.is_unknown("cf")
    assert not view.is_unknown("cf zzz")
    assert not TokenizerView(tiny.byte_pair_tokenizer(), None).is_unknown("zzz"), "bytes are never unknown"


def test_survival_ends_where_the_model_ends() -> None:
    texts, spans = ["cf the patient", "the patient cf", "the patient has cf"], [[(0, 2)], [(12, 14)], [(16, 18)]]
    assert TokenizerView(tiny.piece_tokenizer(), 5).survives(texts, spans).tolist() == [True, True, False]
    assert TokenizerView(tiny.piece_tokenizer(), None).survives(texts, spans).all()
    left = tiny.piece_tokenizer(truncation_side="left")
    assert TokenizerView(left, 4).survives(texts, spans).tolist() == [False, True, True]
