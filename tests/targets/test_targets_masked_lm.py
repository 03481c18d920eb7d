"""Masked language models as target, reference and source of words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_models import MASK_PIECES, mask_tokenizer, tiny_encoder, tiny_masked_lm
from tiny_models import WORDS, piece_tokenizer, tiny_bert, tiny_gpt2

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.huggingface import TargetOptions
from mlflow_clinsec.targets.masked_lm import CachedMaskedScorer, MaskedLM, masked_lm_target, whole_words

MODEL, TOKENIZER = tiny_masked_lm(), mask_tokenizer()
MASKED_LM = MaskedLM(MODEL, TOKENIZER, TargetOptions())
MASK = MASK_PIECES.index("[MASK]")
TEXTS = ["the patient has fever and cough .", "no pain", "patient was given aspirin , stable . no febrile cough"]


def span_of(text: str, word: str) -> tuple[int, int]:
    return text.index(word), text.index(word) + len(word)


def by_hand(ids: list[int], masked: list[int], model: Any = MODEL) -> float:
    """Sum of losses at the masked places, one text alone, straight from the model."""
    hidden = [MASK if i in masked else piece for i, piece in enumerate(ids)]
    with torch.no_grad():
        logp = torch.log_softmax(model(input_ids=torch.tensor([hidden])).logits[0], dim=-1)
    return -sum(float(logp[i, ids[i]]) for i in masked)


def test_losses_are_those_of_the_masked_pieces() -> None:
    ids = [MASK_PIECES.index(piece) for piece in ["[CLS]", *TEXTS[0].split(), "[SEP]"]]
    spans = [span_of(TEXTS[0], "fever"), span_of(TEXTS[0], "cough")]
    [loss] = MASKED_LM.masked_losses([TEXTS[0]], [spans])
    assert loss == pytest.approx(by_hand(ids, [4, 6]), abs=1e-4)


def test_all_pieces_of_a_word_count() -> None:
    ids = [MASK_PIECES.index(piece) for piece in ["[CLS]", "no", "feb", "##rile", "[SEP]"]]
    [loss] = MASKED_LM.masked_losses(["no febrile"], [[(3, 10)]])
    assert loss == pytest.approx(by_hand(ids, [2, 3]), abs=1e-4)


def test_losses_do_not_depend_on_the_company_or_the_batch() -> None:
    spans = [[span_of(text, "patient")] if "patient" in text else [(0, 2)] for text in TEXTS]
    together = MASKED_LM.masked_losses(TEXTS, spans)
    alone = [MASKED_LM.masked_losses([text], [row])[0] for text, row in zip(TEXTS, spans, strict=True)]
    small = MaskedLM(MODEL, TOKENIZER, TargetOptions(batch_tokens=4)).masked_losses(TEXTS, spans)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(together, small, atol=1e-4)


def test_a_long_text_is_read_in_windows() -> None:
    text = " ".join(["fever"] * 50 + ["cough"])  # 51 words; 30 fit beside the special tokens
    [loss] = MASKED_LM.masked_losses([text], [[span_of(text, "cough")]])
    window = [MASK_PIECES.index(piece) for piece in ["[CLS]", *["fever"] * 20, "cough", "[SEP]"]]
    assert loss == pytest.approx(by_hand(window, [21]), abs=1e-4)


def test_nothing_masked_is_not_a_number() -> None:
    losses = MASKED_LM.masked_losses(["no pain", "", "no pain"], [[], [], [(0, 2)]])
    assert [math.isnan(loss) for loss in losses] == [True, True, False]
    assert MASKED_LM.masked_losses([], []).size == 0


def test_candidates_are_other_whole_words_in_order() -> None:
    text = TEXTS[0]
    [found] = MASKED_LM.candidates([text], [[span_of(text, "fever")]], 5)
    [candidates] = found
    assert len(candidates.words) == 5
    assert "fever" not in candidates.words
    assert set(candidates.words) <= {*WORDS, "c", "f", "m", "feb"} - {".", ","}
    assert (np.diff(candidates.logp) <= 0).all()
    ids = [MASK_PIECES.index(piece) for piece in ["[CLS]", *text.split(), "[SEP]"]]
    ids[4] = MASK_PIECES.index(candidates.words[0])
    assert -candidates.logp[0] == pytest.approx(by_hand(ids, [4]), abs=1e-4)


def test_one_mask_stands_for_a_word_of_several_pieces() -> None:
    [[candidates]] = MASKED_LM.candidates(["no febrile"], [[(3, 10)]], 1)
    ids = [MASK_PIECES.index(piece) for piece in ["[CLS]", "no", candidates.words[0], "[SEP]"]]
    assert -candidates.logp[0] == pytest.approx(by_hand(ids, [2]), abs=1e-4)


def test_asking_for_more_words_than_there_are() -> None:
    [[candidates, none]] = MASKED_LM.candidates(["no pain "], [[(3, 7), (7, 8)]], 1000)
    assert len(candidates.words) == len(whole_words(TOKENIZER.get_vocab())) - 1
    assert none.words == ()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "febrile", "xyzzy"]), min_size=1, max_size=40), st.integers(0, 39))
def test_any_word_has_a_finite_loss(words: list[str], index: int) -> None:
    text, at = " ".join(words), index % len(words)
    start = len(" ".join(words[:at])) + (at > 0)
    [loss] = MASKED_LM.masked_losses([text], [[(start, start + len(words[at]))]])
    assert 0 < loss < 1000


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ({"fever": 0, "##ish": 1, "[MASK]": 2, "9": 3, ".": 4}, {0: "fever"}),
        ({"\u0120fever": 0, "ish": 1, "\u01209": 2, "\u0120": 3}, {0: "fever"}),
        ({"\u2581fever": 0, "ish": 1, "<mask>": 2}, {0: "fever"}),
    ],
)
def test_words_are_told_from_pieces_of_words(vocabulary: dict[str, int], words: dict[int, str]) -> None:
    assert whole_words(vocabulary) == words


@pytest.mark.parametrize(
    ("model", "tokenizer", "why"),
    [
        (tiny_bert(), mask_tokenizer(), "needs a masked language model"),
        (tiny_gpt2(), mask_tokenizer(), "needs a masked language model"),
        (tiny_encoder(), mask_tokenizer(), "needs a masked language model"),
        (MODEL, piece_tokenizer(), "mask token"),
        (MODEL, None, "mask token"),
    ],
)
def test_other_models_are_refused(model: Any, tokenizer: Any, why: str) -> None:
    with pytest.raises(TargetError, match=why):
        MaskedLM(model, tokenizer, TargetOptions())


def test_numbers_that_are_none_are_an_error() -> None:
    broken = tiny_masked_lm()
    with torch.no_grad():
        broken.cls.predictions.bias.fill_(float("nan"))
    with pytest.raises(TargetError, match="not numbers"):
        MaskedLM(broken, TOKENIZER, TargetOptions()).masked_losses(["no pain"], [[(0, 2)]])


def test_the_target_offers_masked_losses_alone() -> None:
    target = masked_lm_target(MODEL, TOKENIZER, name="bert", options=TargetOptions())
    assert target.kind == "masked-lm"
    assert target.missing(("masked_scorer",)) == ""
    assert "privacy.reference" in target.missing(("masked_reference",))
    assert "token log-probabilities: not offered by a masked-lm target" in target.missing(("scorer",))
    assert "none was named" in target.missing(("infiller",))


def test_each_mask_is_scored_once() -> None:
    class Counting:
        rows = 0

        def masked_losses(self, texts: Any, spans: Any) -> Any:
            self.rows += len(texts)
            return np.arange(len(texts), dtype=np.float64)

    inner = Counting()
    cached = CachedMaskedScorer(inner)
    first = cached.masked_losses(["a", "a", "a"], [[(0, 1)], [(0, 1)], []])
    assert inner.rows == 2
    np.testing.assert_array_equal(cached.masked_losses(["a", "a"], [[], [(0, 1)]]), first[[2, 0]])
    assert inner.rows == 2
