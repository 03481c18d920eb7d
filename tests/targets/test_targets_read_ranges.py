"""Models that say themselves which parts of a text they read."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import piece_tokenizer

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.read_ranges import RangeView
from mlflow_clinsec.targets.resolve import resolve
from mlflow_clinsec.targets.token_protocols import TokenCutter
from mlflow_clinsec.targets.tokens import TokenizerView


class Wrapped:
    """What MLflow makes of a PythonModel."""

    metadata = None

    def __init__(self, model):
        self.python_model = model


class FirstAndLast:
    """Reads ten characters at either end."""

    labels = ("alive", "died")

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def predict_proba(self, texts):
        return np.full((len(texts), 2), 0.5)

    def read_ranges(self, texts):
        return [[(0, 10), (len(text) - 10, len(text))] for text in texts]


def resolved(model):
    texts = ("the patient has fever and cough",) * 2
    return resolve(Wrapped(model), data=AuditData(("", ""), texts, np.arange(2)))


def test_a_span_survives_within_one_range():
    target = resolved(FirstAndLast(piece_tokenizer()))
    text = "x" * 30
    spans = [[(0, 10)], [(3, 5), (25, 30)], [(9, 11)], [(12, 15)], [(0, 3), (15, 16)], []]
    assert target.tokens.survives([text] * 6, spans).tolist() == [True, True, False, False, False, True]
    assert target.tokens.survives([], []).shape == (0,)
    assert not isinstance(target.tokens, TokenCutter), "a window of the whole text means nothing to such a model"


def test_words_are_those_of_the_tokenizer():
    tokenizer = piece_tokenizer()
    view, plain = RangeView(tokenizer, lambda texts: []), TokenizerView(tokenizer, None)
    assert view.word_pieces(["febrile", "cf"]) == plain.word_pieces(["febrile", "cf"]) == (("feb", "##rile"), ("cf",))
    assert view.is_unknown("☃")
    assert not view.is_unknown("fever")
    assert view.special_tokens == plain.special_tokens


def test_without_a_fast_tokenizer_nothing_is_known_of_words():
    assert resolved(FirstAndLast(None)).tokens is None
    assert resolved(FirstAndLast(piece_tokenizer())).tokens is not None


def test_answers_that_do_not_fit_are_refused():
    with pytest.raises(TargetError, match="read_ranges gave 0 answers to 1 texts"):
        RangeView(piece_tokenizer(), lambda texts: []).survives(["x"], [[(0, 1)]])
