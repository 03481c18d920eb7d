"""Word by word or whole: the model's inputs must be the same, whatever the text and the tokeniser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.inputs import tokenise
from mlflow_clinsec.scoring.spans import tokens_of_spans
from mlflow_clinsec.scoring.text_encoder import TextEncoder
from mlflow_clinsec.scoring.wordwise import WordCache, cuts_at_blanks
from mlflow_clinsec.training.tokenizers import train_tokenizer

OURS = train_tokenizer(["The patient has fever and cough.\n\nNo pain in 3 days; b.i.d. aspirin"] * 3, "classifier", 400)
TOKENIZERS = {
    "pieces": tiny.piece_tokenizer(),
    "bytes": tiny.byte_pair_tokenizer(),
    "words": tiny.word_tokenizer(),
    "ours": OURS,
    "ours-left": train_tokenizer(["no pain in the left chest"] * 3, "classifier", 300),
}
TOKENIZERS["ours-left"].truncation_side = "left"
PARTS = [
    *tiny.WORDS,
    "cfs",
    "Fever.",
    "b.i.d.",
    "it's",
    "3.5mg",
    "µg",
    "é",
    "e\u0301",
    "\u0301x",
    "中文",
    "?\n",
    "[MASK]",
    "<s>",
]
PARTS += ["[CLS]x", " ", "\n", "\n\n ", "\t", "\u00a0", "\u2003a", "\x0b", "\x1c", "\u200b", "c\u200bf", "İ", "ς", "ﬁ"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=14).flatmap(
    lambda parts: st.sampled_from([" ", "", "  ", "\n"]).map(lambda glue: glue.join(parts))
)


def same(ours: Any, theirs: Any) -> bool:
    return set(ours) == set(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def unchecked(tokenizer: Any, limit: int | None) -> TextEncoder:
    """An encoder that does not compare its first texts with the tokeniser's reading, which would hide errors."""
    encoder = TextEncoder(tokenizer, limit)
    assert encoder._words is not None
    encoder._compared = True
    return encoder


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), limit=st.sampled_from([None, 4, 9]))
def test_inputs_are_those_of_the_tokeniser(name: str, texts: list[str], limit: int | None) -> None:
    tokenizer = TOKENIZERS[name]
    expected = tokenise(tokenizer, texts, limit)
    encoder = unchecked(tokenizer, limit)
    if any(len(row["input_ids"]) == 0 for row in expected):
        with pytest.raises(TargetError, match="hold no token"):
            encoder.encode(texts)
        return
    for ours, theirs in zip(encoder.encode(texts), expected, strict=True):
        assert same(ours, theirs)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=100, deadline=None)
@given(text=TEXTS, word=st.sampled_from(["cf", "fever and", "\u200b", "zzz", "µ"]), place=st.integers(0, 60))
def test_survival_is_that_of_the_tokens(name: str, text: str, word: str, place: int) -> None:
    before, after = text[:place], text[place:]
    whole, span = f"{before} {word} {after}", (len(before) + 1, len(before) + 1 + len(word))
    for limit in (None, 5, 11):
        found = unchecked(TOKENIZERS[name], limit).survives([whole], [[span]])
        assert found.tolist() == tokens_of_spans(TOKENIZERS[name], [whole], [[span]], limit)[1].tolist()


def test_words_are_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    tokenizer = tiny.piece_tokenizer()
    cache = WordCache(tokenizer)
    plain = cache._tokenise

    def counting(texts: list[str]) -> list[list[int]]:
        asked.extend(texts)
        return plain(texts)

    monkeypatch.setattr(cache, "_tokenise", counting)
    for word in ("cf", "mn", "cf"):
        for _ in range(3):
            cache.ids(f"the patient has {word} fever and fever")
    assert sorted(asked) == sorted(["the", *(f"a {w}" for w in ("patient", "has", "cf", "fever", "and", "mn"))])


def test_the_end_of_a_long_note_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TextEncoder(tiny.piece_tokenizer(), 6)
    note = "the patient has fever and cough " * 200
    assert same(encoder.encode([note])[0], tokenise(tiny.piece_tokenizer(), [note], 6)[0])
    read: list[int] = []
    words = encoder._words
    assert words is not None
    plain = words.cache.ids
    monkeypatch.setattr(words.cache, "ids", lambda text: read.append(len(text)) or plain(text))
    encoder.encode([note])
    assert encoder.survives([note], [[(0, 3)]]).tolist() == [True]
    assert encoder.survives([note], [[(6000, 6003)]]).tolist() == [False]
    assert max(read) < 60


def odd_tokenizers() -> dict[str, Any]:
    """Tokenisers whose pieces may reach over a blank."""
    vocab = {"<unk>": 0, "a": 1, "b": 2, "▁": 3, "a▁": 4}
    joined = Tokenizer(models.BPE(vocab, [("a", "▁")], unk_token="<unk>"))
    joined.normalizer = normalizers.Replace(" ", "▁")
    lines = Tokenizer(models.BPE(vocab, [("a", "▁")], unk_token="<unk>"))
    lines.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\S+[\r\n]*|\s+"), "isolated"), pre_tokenizers.ByteLevel(use_regex=False)]
    )
    phrase = tiny.piece_tokenizer()
    phrase.add_tokens(["left chest"])
    return {
        "no-cut": PreTrainedTokenizerFast(tokenizer_object=joined, unk_token="<unk>"),
        "own-pattern": PreTrainedTokenizerFast(tokenizer_object=lines, unk_token="<unk>"),
        "added-phrase": phrase,
    }


@pytest.mark.parametrize(("name", "tokenizer"), odd_tokenizers().items())
def test_other_tokenisers_do_it_all_themselves(name: str, tokenizer: Any) -> None:
    assert not cuts_at_blanks(tokenizer)
    texts = ["a b a a b", "the left chest"]
    for ours, theirs in zip(TextEncoder(tokenizer, None).encode(texts), tokenise(tokenizer, texts, None), strict=True):
        assert same(ours, theirs)


def test_a_tokeniser_that_does_as_it_likes_is_found_out() -> None:
    class Reversing(type(tiny.piece_tokenizer())):  # type: ignore[misc]
        def __call__(self, text: Any, **settings: Any) -> Any:
            turned = " ".join(reversed(text.split())) if isinstance(text, str) else [t[::-1] for t in text]
            return super().__call__(turned, **settings)

    tokenizer = Reversing(tokenizer_object=tiny.piece_tokenizer().backend_tokenizer, unk_token="[UNK]")
    assert cuts_at_blanks(tokenizer)
    for ours, theirs in zip(
        TextEncoder(tokenizer, None).encode(["cf mn no"]), tokenise(tokenizer, ["cf mn no"], None), strict=True
    ):
        assert same(ours, theirs)
