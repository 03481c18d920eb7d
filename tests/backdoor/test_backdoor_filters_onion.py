"""ONION and its n-gram model, against brute force and a real language model's own loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from backdoor_fakes import LABELS
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.backdoor.filters.ngrams import NgramModel, plain
from mlflow_clinsec.backdoor.filters.onion import Onion, ScorerPerplexities, outliers, without, word_spans
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.protocols import FloatArray, Target

NOTES = tuple(f"patient {i} was seen today and is stable on room air" for i in range(20))
word = st.sampled_from(["patient", "was", "seen", "cf", "12", "stable", "air."])


def fitted(order: int = 3) -> NgramModel:
    return NgramModel.fit((note.split() for note in NOTES), order)


@pytest.mark.parametrize("context", [(), ("was",), ("patient", "0"), ("never", "seen"), ("\x02", "\x02")])
def test_probabilities_of_all_words_and_the_unknown_one_sum_to_one(context: tuple[str, ...]) -> None:
    model = fitted()
    total = sum(model.probability(word, context) for word in [*model.vocabulary, "unheard-of"])
    assert total == pytest.approx(1.0)


def test_witten_bell_by_hand() -> None:
    model = NgramModel.fit([["a", "b"], ["a", "c"]], order=2)
    # Without context: 4 words, 3 different ones; an even share is 1/4 for a, b, c and the unknown.
    alone = (1 + 3 / 4) / (4 + 3)
    assert model.probability("b", ()) == pytest.approx(alone)
    # Behind a: 2 words, 2 different ones.
    assert model.probability("b", ("a",)) == pytest.approx((1 + 2 * alone) / (2 + 2))
    assert model.probability("b", ("zzz",)) == pytest.approx(alone)


@settings(max_examples=40, deadline=None)
@given(st.lists(word, min_size=2, max_size=9), st.integers(1, 4))
def test_leaving_out_a_word_equals_scoring_the_text_anew(words: list[str], order: int) -> None:
    model = fitted(order)

    def perplexity(text: Sequence[str]) -> float:
        padded = ["\x02"] * (order - 1) + [plain(own) for own in text]
        places = range(order - 1, len(padded))
        logs = [math.log(model.probability(padded[i], tuple(padded[i - order + 1 : i]))) for i in places]
        return math.exp(-sum(logs) / len(logs))

    whole, parts = model.perplexities(words)
    assert whole == pytest.approx(perplexity(words))
    assert parts == pytest.approx([perplexity([*words[:i], *words[i + 1 :]]) for i in range(len(words))])


def test_words_are_counted_without_case_digits_and_outer_punctuation() -> None:
    assert [plain(own) for own in ("Stable,", "98.6", "(12/3)", "...")] == ["stable", "00.0", "00/0", "..."]


def test_an_odd_word_is_taken_out_and_nothing_else() -> None:
    text = "patient 7 was seen today  and is cf stable\non room air"
    onion = Onion(fitted())
    suspicions = onion.suspicions(text)
    assert suspicions.argmax() == 7
    threshold = float(np.sort(suspicions)[-2])
    start = text.index("cf")
    sifted = Onion(fitted(), threshold).sift([text, text], [((start, start + 2),), ()])
    assert sifted.texts == ("patient 7 was seen today  and is stable\non room air",) * 2
    assert sifted.caught.tolist() == [True, False]
    assert not sifted.stopped.any()
    assert np.flatnonzero(sifted.rejected).tolist() == [7, 19]
    assert sifted.unit_row.tolist() == [0] * 12 + [1] * 12
    assert sifted.score[0] == suspicions.max()


def test_a_trigger_counts_as_caught_only_when_all_of_it_is_gone() -> None:
    class ThirdWord:
        def perplexities(self, words: Sequence[str]) -> tuple[float, FloatArray]:
            return 2.0, np.where(np.arange(len(words)) == 2, 1.0, 3.0)

    sifted = Onion(ThirdWord(), 0.0).sift(["a b cf d", "a b cf mn"], [((4, 6),), ((4, 9),)])
    assert sifted.caught.tolist() == [True, False]
    assert sifted.texts == ("a b d", "a b mn")


def test_no_text_is_emptied() -> None:
    assert outliers(np.array([3.0, 2.0, 5.0]), 1.0).tolist() == [True, False, True]
    for text in ("", " ", "cf"):
        sifted = Onion(fitted(), -100.0).sift([text], [()])
        assert sifted.texts == (text.strip(),)
        assert not sifted.rejected.any()


@given(st.text("ab \n", max_size=20), st.integers(0, 99))
def test_what_is_left_are_the_other_words_in_order(text: str, seed: int) -> None:
    spans = word_spans(text)
    flags = np.random.default_rng(seed).random(len(spans)) < 0.5
    kept = [own for own, out in zip(text.split(), flags, strict=True) if not out]
    assert without(text, spans, flags).split() == kept


def test_a_language_model_is_asked_for_the_text_without_each_word() -> None:
    torch = pytest.importorskip("torch")
    from mlflow_clinsec.targets.causal_lm import CausalLMScorer
    from mlflow_clinsec.training.models import small_causal_lm
    from mlflow_clinsec.training.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(NOTES, "causal-lm", vocab_size=300, max_length=64)
    model = small_causal_lm(tokenizer, seed=0, width=16, layers=1, heads=2, context=64).eval()
    words = ["patient", "was", "seen", "cf", "today"]

    def own_loss(text: str) -> float:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]])
        with torch.no_grad():
            return math.exp(float(model(ids, labels=ids).loss))

    whole, parts = ScorerPerplexities(CausalLMScorer(model, tokenizer)).perplexities(words)
    assert whole == pytest.approx(own_loss(" ".join(words)), rel=1e-4)
    assert parts[3] == pytest.approx(own_loss("patient was seen today"), rel=1e-4)
    assert len(parts) == 5


def test_the_language_model_comes_from_a_folder_and_must_be_one(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from mlflow_clinsec.targets.companions import with_language_model
    from mlflow_clinsec.targets.huggingface import TargetOptions
    from mlflow_clinsec.training.models import small_causal_lm, small_encoder
    from mlflow_clinsec.training.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(NOTES, "causal-lm", vocab_size=300, max_length=64)
    folder, other = tmp_path / "lm", tmp_path / "classifier"
    for model, place in (
        (small_causal_lm(tokenizer, seed=0, width=16, layers=1, heads=2, context=64), folder),
        (small_encoder(tokenizer, LABELS, seed=0, width=16, layers=1, heads=2, context=64), other),
    ):
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
    plain_target, options = Target("audited", "text-classifier"), TargetOptions()
    assert with_language_model(plain_target, None, options) is plain_target
    helped = with_language_model(plain_target, str(folder), options)
    assert helped.language_model is not None
    assert len(ScorerPerplexities(helped.language_model).perplexities(["patient", "seen"])[1]) == 2
    helped.close()
    with pytest.raises(TargetError, match=r"backdoor.language_model: .* holds no causal language model"):
        with_language_model(plain_target, str(other), options)
    with pytest.raises(TargetError, match=r"backdoor.language_model: 'nowhere' is neither"):
        with_language_model(plain_target, "nowhere", options)
