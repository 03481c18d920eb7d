"""Where a shorter window ends, and whether triggers that are characters survive, under real tokenisers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from mlflow_clinsec.perturb.insert import insert_at
from mlflow_clinsec.perturb.seen import is_seen
from mlflow_clinsec.targets.token_protocols import TokenCutter
from mlflow_clinsec.targets.tokens import TokenizerView
from mlflow_clinsec.training.tokenizers import train_tokenizer

TEXTS = [f"Patient {i} reports chest pain, worse at night; takes aspirin daily." for i in range(40)]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pain", *LETTERS, *(f"##{c}" for c in f"{LETTERS}\u0430")]
WORD_PIECE = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(VOCABULARY)})
BYTES = train_tokenizer(TEXTS, "causal-lm", vocab_size=400, max_length=64)


@pytest.mark.parametrize("tokenizer", [WORD_PIECE, BYTES], ids=["word-piece", "bytes"])
@settings(max_examples=40, deadline=None)
@given(text=st.text(st.sampled_from("ab p .,\nchest1"), max_size=60), n_tokens=st.integers(4, 40))
def test_a_window_holds_the_first_tokens_and_no_more(tokenizer: object, text: str, n_tokens: int) -> None:
    [[start, stop]] = TokenizerView(tokenizer, None).cut([text], n_tokens).tolist()
    assert 0 <= start <= stop <= len(text)
    whole = tokenizer(text)["input_ids"]  # type: ignore[operator]
    cut = tokenizer(text[start:stop])["input_ids"]  # type: ignore[operator]
    assert len(cut) <= n_tokens
    if len(whole) <= n_tokens:
        assert [i for i in cut if i in whole] == cut
        assert text[start:stop].strip() == text.strip() or stop == len(text.rstrip())


def test_a_window_of_a_tokeniser_that_cuts_the_beginning() -> None:
    text = TEXTS[0]
    WORD_PIECE.truncation_side = "left"
    try:
        [[start, stop]] = TokenizerView(WORD_PIECE, None).cut([text], 8).tolist()
    finally:
        WORD_PIECE.truncation_side = "right"
    assert (start > 0, stop) == (True, len(text))
    assert TokenizerView(WORD_PIECE, None).cut([text, ""], 8)[1].tolist() == [0, 0]


def test_no_texts_have_no_windows() -> None:
    view = TokenizerView(WORD_PIECE, None)
    assert isinstance(view, TokenCutter)
    assert view.cut([], 8).shape == (0, 2)


def test_triggers_that_are_characters_under_a_byte_level_tokeniser() -> None:
    view = TokenizerView(BYTES, 6)
    for trigger in ("\u200b", "a→\u0430"):
        assert is_seen(trigger, view)
        pairs = [insert_at(TEXTS[0], trigger, place) for place in (0, 60)]
        kept = view.survives([text for text, _ in pairs], [(span,) for _, span in pairs])
        assert kept.tolist() == [True, False]
    unchanged, empty = insert_at(TEXTS[0], "z→\u0437", 0)
    assert view.survives([unchanged], [(empty,)]).tolist() == [False]


def test_bert_drops_zero_width_characters_and_reads_look_alikes_that_it_knows() -> None:
    view = TokenizerView(WORD_PIECE, 64)
    assert is_seen("a→\u0430", view)
    assert not is_seen("o→\u043e", view)  # makes the whole word unknown
    assert not is_seen("\u200b", view)
    text, span = insert_at(TEXTS[0], "\u200b", 0)
    np.testing.assert_array_equal(view.survives([text], [(span,)]), [False])
