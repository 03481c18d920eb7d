from __future__ import annotations

import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.scoring.spans import tokens_of_spans


def test_marks_by_hand() -> None:
    # [CLS] the patient feb ##rile cf [SEP]
    marks, kept = tokens_of_spans(tiny.piece_tokenizer(), ["the patient febrile cf"], [[(12, 19)]], None)
    assert marks[0].tolist() == [False, False, False, True, True, False, False]
    assert kept.tolist() == [True]


def test_a_blank_before_the_word_belongs_to_its_token() -> None:
    marks, _ = tokens_of_spans(tiny.byte_pair_tokenizer(), ["no cf"], [[(3, 5)]], None)
    assert marks[0].tolist() == [False, False, False, True, False], "<s> n o Ġcf </s>"


def test_half_a_word_cut_off_is_not_kept() -> None:
    text = ["the patient febrile cf"]
    for limit, whole in [(7, True), (6, True), (5, False), (4, False)]:
        _, kept = tokens_of_spans(tiny.piece_tokenizer(), text, [[(12, 19)]], limit)
        assert kept.tolist() == [whole], limit


def test_each_of_several_spans_must_be_kept_and_none_is_not_kept() -> None:
    tokenizer = tiny.piece_tokenizer()
    texts = ["cf the patient cf"] * 3
    marks, kept = tokens_of_spans(tokenizer, texts, [[(0, 2), (15, 17)], [(0, 2)], []], 5)
    assert kept.tolist() == [False, True, False]
    assert marks[1].tolist() == [False, True, False, False, False]
    assert tokens_of_spans(tokenizer, [], [], 5)[1].shape == (0,)


@given(words=st.lists(st.sampled_from(tiny.WORDS), min_size=1, max_size=20), data=st.data())
def test_the_marked_tokens_are_the_words_of_the_span(words: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(words) - 1))
    start = len(" ".join([*words[:place], ""]))
    limit = data.draw(st.integers(1, 25))
    span = (start, start + len(words[place]))
    marks, kept = tokens_of_spans(tiny.word_tokenizer(), [" ".join(words)], [[span]], limit)
    assert kept.tolist() == [place < limit]
    assert marks[0].nonzero()[0].tolist() == ([place] if place < limit else [])
